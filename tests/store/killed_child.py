"""A child that claims and commits until it is killed; it prints a key only once its commit is acknowledged."""

import sys
import threading

from kept import delivery, now, received, reply, row

from adapter.store.ledger import Replayed, Store


def main(url: str, start: int) -> None:
    store = Store.open(url, now)
    sys.stdout.write("ready\n")
    sys.stdout.flush()

    def work(worker: int) -> None:
        number = start
        while True:
            key = f"{worker}-{number}"
            mine = received(key)
            claimed = store.claim(mine, 5)
            if claimed is None:
                store.commit(mine, reply(key), row(key), [delivery("candidate", lane=key)])
            else:
                assert claimed == Replayed(reply(key))
            sys.stdout.write(f"{key}\n")
            sys.stdout.flush()
            number += 1

    for worker in range(4):
        threading.Thread(target=work, args=(worker,)).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
