// Tells the engine what the trial adapter's answer means for the message: done, refused for good, or again later.
// Without this an HTTP Sender queues 422 and 503 alike, and takes a redirect for success.

var status = connectorMap.get('responseStatusCode');
// Taken away, so that after a lost connection the status of the attempt before is not read once more.
connectorMap.remove('responseStatusCode');

if (status !== null && status !== undefined) {
    status = Number(status);
    var said = {};
    try {
        said = JSON.parse(String(msg));
    } catch (notJson) {
        // A proxy's page, or nothing: the status alone decides.
    }
    var issues = said && said.resourceType === 'OperationOutcome' && said.issue ? said.issue : [];
    var worst = null;
    for (var i = 0; i < issues.length; i++) {
        if (issues[i].severity === 'fatal' || issues[i].severity === 'error') {
            worst = issues[i];
            break;
        }
    }
    var details = worst && worst.details ? worst.details : {};
    var code = details.coding && details.coding[0] ? String(details.coding[0].code) : '';
    var text = details.text ? String(details.text) : '';
    connectorMap.put('trialAdapterStatus', String(status));
    connectorMap.put('trialAdapterCode', code);
    connectorMap.put('trialAdapterIssue', worst && worst.code ? String(worst.code) : '');
    connectorMap.put('trialAdapterText', text);

    // The message itself is refused: it would be refused again.
    var refused = [400, 409, 412, 413, 415, 422];
    var summary = 'HTTP ' + status + (code ? ' ' + code : '') + (text ? ': ' + text : '');
    if (refused.indexOf(status) >= 0 || (status < 300 && worst !== null)) {
        // Below 300 with an error: the adapter set it aside (quarantine) instead of refusing it.
        responseStatus = ERROR;
        responseStatusMessage = summary;
        responseErrorMessage = summary;
    } else if (status < 300) {
        responseStatus = SENT;
        responseStatusMessage = 'HTTP ' + status;
        responseErrorMessage = '';
    } else {
        // 408, 425, 429 and 5xx pass by themselves; 401, 403, 404 and redirects are a setting's fault, not the
        // message's: it waits until that is mended.
        responseStatus = QUEUED;
        responseStatusMessage = summary;
        responseErrorMessage = summary;
    }
}
