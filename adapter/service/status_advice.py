"""What a person does about a delivery that waits or was given up, by the code of why."""

_ADVICE = (
    ("http-401", "give the adapter valid credentials (trial-adapter doctor), it then goes on by itself"),
    ("http-403", "have our client allowed to write these types, then outbox replay --all-dead"),
    ("http-404", "look at target: the address, and whether the server has these types; then outbox replay"),
    ("http-405", "the server does not write in this way: see Delivery in docs/operations.md"),
    ("http-501", "the server does not write in this way: see Delivery in docs/operations.md"),
    ("http-413", "have the server take larger transactions, then outbox replay"),
    ("http-400", "the server refuses the resource: its log says why; mend that, then outbox replay"),
    ("http-422", "the server refuses the resource: its log says why (a Patient it does not know?); then outbox replay"),
    ("http-412", "somebody writes the same resource: nothing, unless it stays"),
    ("http-3", "the server redirects: set target to where it leads"),
    ("http-429", "nothing: it is tried again when the server allows"),
    ("http-5", "nothing here: the server fails or is away, and it is tried again"),
    ("timeout", "nothing here: the server is slow or away, and it is tried again"),
    ("no-answer", "look whether the server runs and is reached (trial-adapter doctor); it is tried again"),
    ("no-capability-statement", "look at target (trial-adapter doctor); it is tried again"),
    ("not-taken", "the server does not take this type: choose what is written instead (docs/operations.md)"),
    ("multiple-matches", "the server holds several of one identifier: have one left, then outbox replay"),
    ("no-folder-is-set", "name the folder that files are dropped into (docs/operations.md)"),
    ("server-", "look at the settings of the target (trial-adapter doctor); it is tried again"),
    ("defect", "report this as a defect; then outbox replay, or outbox drop"),
)


def advice(code: str) -> str:
    """Say what to do.

    >>> advice("http-503 transient")
    'nothing here: the server fails or is away, and it is tried again'
    """
    return next((said for begins, said in _ADVICE if code.startswith(begins)), "look at it, then outbox replay or drop")
