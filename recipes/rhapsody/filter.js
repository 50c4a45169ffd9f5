// Sorts the trial adapter's answers: done, refused for good, again later.  Rhapsody 6 runs this once for each batch of
// messages, with input and output as arrays of messages.

var REFUSED = [400, 409, 412, 413, 415, 422];

for (var i = 0; i < input.length; i++) {
    var message = output.append(input[i]);
    var status = Number(message.getProperty('HttpResponseStatusCode') || message.getProperty('http:StatusCode') || 0);
    var said = {};
    try {
        said = JSON.parse(String(message.text));
    } catch (notJson) {
        // A proxy's page, or nothing: the status alone decides.
    }
    var issues = said && said.resourceType === 'OperationOutcome' && said.issue ? said.issue : [];
    var worst = null;
    for (var j = 0; j < issues.length && worst === null; j++) {
        if (issues[j].severity === 'fatal' || issues[j].severity === 'error') {
            worst = issues[j];
        }
    }
    var coding = worst && worst.details && worst.details.coding ? worst.details.coding[0] : null;
    var outcome = 'again';
    if (REFUSED.indexOf(status) >= 0 || (status >= 200 && status < 300 && worst !== null)) {
        outcome = 'refused';
    } else if (status >= 200 && status < 300) {
        outcome = 'done';
    }
    message.setProperty('trialAdapterStatus', String(status));
    message.setProperty('trialAdapterCode', coding ? String(coding.code) : '');
    message.setProperty('trialAdapterOutcome', outcome);
}
