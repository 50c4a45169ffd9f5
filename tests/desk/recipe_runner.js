// Runs the recipes' scripts with the engines' objects stood in for, over cases given on standard input.
'use strict';
const fs = require('fs');
const vm = require('vm');

const cases = JSON.parse(fs.readFileSync(0, 'utf8'));
const [mirth, rhapsody] = process.argv.slice(2).map((path) => new vm.Script(fs.readFileSync(path, 'utf8')));

function mirthSays(one) {
    const kept = new Map(Object.entries(one.before || {}));
    if (one.status !== null) {
        kept.set('responseStatusCode', one.status);
    }
    const map = {
        get: (key) => (kept.has(key) ? kept.get(key) : null),
        put: (key, value) => kept.set(key, value),
        remove: (key) => kept.delete(key),
    };
    // As HttpDispatcher leaves it: below 400 sent, else queued; nothing came: queued.
    const usual = one.status !== null && one.status < 400 ? 'SENT' : 'QUEUED';
    const scope = {
        connectorMap: map, msg: one.body, SENT: 'SENT', QUEUED: 'QUEUED', ERROR: 'ERROR',
        responseStatus: usual, responseStatusMessage: 'before', responseErrorMessage: 'before',
    };
    mirth.runInNewContext(scope);
    return {
        status: scope.responseStatus, message: scope.responseStatusMessage, error: scope.responseErrorMessage,
        map: Object.fromEntries(kept),
    };
}

function rhapsodySays(one) {
    const kept = new Map(one.status === null ? [] : [['HttpResponseStatusCode', String(one.status)]]);
    const message = {
        text: one.body, getProperty: (key) => kept.get(key) || null, setProperty: (key, value) => kept.set(key, value),
    };
    const output = [];
    output.append = (each) => { output.push(each); return each; };
    rhapsody.runInNewContext({ input: [message], output });
    return Object.fromEntries(kept);
}

process.stdout.write(JSON.stringify(cases.map((one) => ({ mirth: mirthSays(one), rhapsody: rhapsodySays(one) }))));
