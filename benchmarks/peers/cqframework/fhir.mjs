// FHIR JSON as this engine wants it, since it brings no FHIR: a value of each type of the model info, made when a
// retrieve first gives the resource.
import { readFileSync } from "node:fs";
import { require } from "../answering.mjs";
import { engine, kotlin, modelFile, shared } from "./translator.mjs";

const URI = "http://hl7.org/fhir";
const sax = require("sax");

/** The types of the model info: base, primary code path, elements by the JSON key they stand under. */
function readTypes() {
  const types = new Map();
  let type = null;
  let element = null;
  const local = (name) => name.replace(/^FHIR\./, "");
  const parser = sax.parser(true);
  const put = (key, to, list) => type.own.set(key, { element: element.name, type: local(to), list });
  parser.onopentag = ({ name, attributes }) => {
    if (name.endsWith("typeInfo")) {
      const { name: own, baseType, primaryCodePath } = attributes;
      type = { name: own, base: baseType ? local(baseType) : null, codePath: primaryCodePath, own: new Map() };
      if (attributes.namespace === "FHIR") types.set(own, type);
    } else if (name.endsWith("element") && type) {
      element = attributes;
      if (attributes.elementType) put(attributes.name, attributes.elementType, false);
    } else if (name.endsWith("elementTypeSpecifier") && attributes.elementType) {
      put(element.name, attributes.elementType, true);
    } else if (name.endsWith("choice")) {
      const named = attributes.name;
      put(element.name + named[0].toUpperCase() + named.slice(1), named, false);
      if (named === "SimpleQuantity") put(`${element.name}Quantity`, "Quantity", false);
    }
  };
  parser.onclosetag = (name) => {
    if (name.endsWith("typeInfo")) type = null;
  };
  parser.write(readFileSync(modelFile, "utf8")).close();
  return types;
}

const types = readTypes();
const names = new Map([...types.keys()].map((name) => [name, new shared.QName(URI, name, "")]));
const elements = new Map();

function elementsOf(name) {
  const known = elements.get(name);
  if (known) return known;
  const type = types.get(name);
  const found = new Map([...(type?.base ? elementsOf(type.base) : []), ...(type?.own ?? [])]);
  elements.set(name, found);
  return found;
}

function inherits(name, from) {
  for (let each = name; each; each = types.get(each)?.base) if (each === from) return true;
  return false;
}

const instance = (name, found) => new engine.ClassInstance(names.get(name), kotlin.KtMutableMap.fromJsMap(found));
const list = (values) => new engine.List(kotlin.KtList.fromJsArray(values));

const TIME = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?)?)?(Z|[+-]\d\d:\d\d)?$/;

function dateTime(text) {
  const found = TIME.exec(text);
  if (!found) return null;
  const [, year, month, day, hour, minute, second, fraction, zone] = found;
  const parts = [year, month, day, hour, minute, second].filter((part) => part !== undefined).map(Number);
  if (second !== undefined) parts.push(Number(`${fraction ?? "0"}00`.slice(0, 3)));
  const offset = !zone || zone === "Z" ? 0 : (zone[0] === "-" ? -1 : 1) * (Number(zone.slice(1, 3)) + Number(zone.slice(4)) / 60);
  return engine.DateTime.fromDateElements(shared.BigDecimal.fromString(String(offset)), Int32Array.from(parts));
}

const SYSTEM = {
  "System.String": (value) => new engine.String(String(value)),
  "System.Boolean": (value) => new engine.Boolean(value),
  "System.Integer": (value) => new engine.Integer(value),
  "System.Decimal": (value) => new engine.Decimal(shared.BigDecimal.fromString(String(value))),
  "System.DateTime": dateTime,
  "System.Date": (value) => engine.Date.fromDateString(value),
  "System.Time": (value) => engine.Time.fromDateString(value),
};

function valueOf(json, name, sibling) {
  const system = SYSTEM[elementsOf(name).get("value")?.type];
  if (system) {
    if (json !== null && typeof json === "object") throw new TypeError(`not a ${name}`);
    const found = new Map();
    if (json !== null && json !== undefined) found.set("value", system(json));
    if (sibling) fill(found, sibling, "Element");
    return instance(name, found);
  }
  if (json === null || typeof json !== "object") return null;
  const own = json.resourceType && inherits(json.resourceType, name) ? json.resourceType : name;
  const found = new Map();
  fill(found, json, own);
  return instance(own, found);
}

function fill(found, json, name) {
  const known = elementsOf(name);
  for (const key in json) {
    const bare = key[0] === "_" ? key.slice(1) : key;
    const into = known.get(bare);
    if (!into || (bare !== key && bare in json)) continue;
    const sibling = json[`_${bare}`];
    const given = json[bare];
    if (into.list) {
      const count = Math.max(given?.length ?? 0, sibling?.length ?? 0);
      const values = Array.from({ length: count }, (_, at) => valueOf(given?.[at] ?? null, into.type, sibling?.[at]));
      found.set(into.element, list(values));
    } else found.set(into.element, valueOf(given ?? null, into.type, sibling));
  }
}

const codingsOf = (json) => (Array.isArray(json) ? json : json ? [json] : []).flatMap((each) => each.coding ?? [each]);

/** What the engine asks of FHIR, about the one patient that `show` was last given. */
export class Fhir {
  show(bundle) {
    this.byType = Map.groupBy
      ? Map.groupBy(bundle.entry.map((each) => each.resource), (each) => each.resourceType)
      : bundle.entry.reduce((found, { resource }) => {
          const some = found.get(resource.resourceType);
          if (some) some.push(resource);
          else found.set(resource.resourceType, [resource]);
          return found;
        }, new Map());
    this.made = new Map();
  }

  retrieve(_context, _contextPath, _contextValue, type, _template, codePath, codes) {
    let found = this.byType.get(type) ?? [];
    if (codes) {
      const wanted = new Set(
        engine.iterableToList(codes).asJsReadonlyArrayView().map((each) => `${each.system} ${each.code}`),
      );
      const path = codePath ?? types.get(type).codePath;
      found = found.filter((each) =>
        codingsOf(each[path] ?? each[`${path}CodeableConcept`]).some((coding) => wanted.has(`${coding.system} ${coding.code}`)),
      );
    }
    return kotlin.KtList.fromJsArray(found.map((each) => this.#made(each)));
  }

  #made(json) {
    const known = this.made.get(json);
    if (known) return known;
    const made = valueOf(json, json.resourceType);
    this.made.set(json, made);
    return made;
  }

  is(name, type) {
    const asked = type.getLocalPart();
    return type.getNamespaceURI() === URI ? inherits(name, asked) : asked === "Any";
  }

  createInstance(name) {
    return instance(name, new Map());
  }

  getContextPath() {
    return null;
  }

  resolveId() {
    return null;
  }

  objectEquivalent(left, right, equivalent) {
    return equivalent(left, right);
  }

  phiObfuscationSupplier() {
    return () => null;
  }
}
