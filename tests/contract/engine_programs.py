"""Small real programs for the engine's tests: ``python -m tests.contract.engine_programs SPEC.json``.

The behaviour is the spec's ``input``; the folder at ``output`` may hold a Unix socket ``s`` by which the test and the program talk.
A socket is inherited by everything the program starts and closed by the kernel when the last of them is dead, so its end is proof.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_last_word(**word: object) -> None:
    Path("result.new").write_text(json.dumps(word))
    Path("result.new").rename("result.json")


def dial(output: str) -> socket.socket:
    """Connect to the test, and say who is there."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(f"{output}/s")
    line.sendall(f"{os.environ['DESPINA_RUN_ID']} {os.getpid()}\n".encode())
    os.set_inheritable(line.fileno(), True)
    return line


def succeed(output: str) -> None:
    """Progress with noise around it, a log, a result."""
    print(json.dumps({"at": 1, "step": 1, "of": 2, "unit": "epoch"}))
    print("Epoch 2 of 2")
    print(json.dumps({"at": 2, "step": 2, "of": 2, "unit": "epoch", "metric": "acc", "value": 0.5, "best": 0.75}))
    print("[1, 2]")
    print('{"at": 3, "step": 3, "of"', end="", flush=True)
    print("first\nsecond\nunfinished", end="", file=sys.stderr)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "GIVEN")
    write_last_word(result={"environment": {name: os.environ[name] for name in names}, "cwd": str(Path.cwd())})


def refuse(output: str) -> None:
    write_last_word(failure_reason="The file nodes.csv has no column '~id'.")
    sys.exit(1)


def crash(output: str) -> None:
    print("first line", "x" * 700, "last line", "", sep="\n", file=sys.stderr)
    sys.exit(3)


def say_nothing(output: str) -> None:
    """End well, and leave no result."""


def mumble(output: str) -> None:
    Path("result.json").write_text('{"result": 7')


def die(output: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_a_result(output: str) -> None:
    write_last_word(result={})
    os.kill(os.getpid(), signal.SIGSEGV)


def obey(output: str) -> None:
    """Print what the test says (without the line's end if it ends in ``~``), and succeed when it says ``succeed``."""
    with dial(output) as line, line.makefile() as said:
        for word in said:
            if word == "succeed\n":
                write_last_word(result={"obeyed": True})
                return
            print(word.replace("~\n", ""), end="", file=sys.stderr, flush=True)
            line.sendall(b"printed\n")


def babble(output: str) -> None:
    """A log of some megabytes, and a result."""
    for number in range(100_000):
        print(f"line {number}", "x" * 10, file=sys.stderr)
    write_last_word(result={})


def keep_a_peer(output: str) -> None:
    """Wait for ever, with a process beside it that Ray has started for it and that says ``peer``."""
    import ray
    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)

    class Peer:
        def __init__(self, run_id: str) -> None:
            os.environ["DESPINA_RUN_ID"] = run_id
            self.line = dial(output)
            self.line.sendall(b"peer\n")

        def wait(self) -> None:
            signal.pause()

    peer: Any = ray.remote(num_cpus=0)(Peer).remote(os.environ["DESPINA_RUN_ID"])
    ray.get(peer.wait.remote())


def serve(output: str) -> None:
    """Listen on the run's socket, tell the test, and answer each of its connections with a word."""
    with socket.socket(socket.AF_UNIX) as listener, dial(output) as line:
        listener.bind("socket")
        listener.listen()
        line.sendall(b"listening\n")
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"at your service\n")


def succeed_when_stopped(output: str) -> None:
    def finish(*_: object) -> None:
        write_last_word(result={})
        sys.exit(0)

    signal.signal(signal.SIGTERM, finish)
    obey(output)


def _start_daemon(line: socket.socket) -> None:
    """Leave a process behind that is nobody's child, in its own session, and deaf to SIGTERM."""
    daemon = (
        "import os, signal\n"
        "os.setsid()\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork(): os._exit(0)\n"
        f"os.write({line.fileno()}, b'daemon\\n')\n"
        "while True: signal.pause()\n"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", daemon], check=True, pass_fds=[line.fileno()])


def keep_a_daemon(output: str) -> None:
    """Wait for ever, itself deaf to SIGTERM, with a daemon beside it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _start_daemon(dial(output))
    while True:
        signal.pause()


def leave_a_daemon(output: str) -> None:
    """Succeed, with a daemon left behind."""
    _start_daemon(dial(output))
    write_last_word(result={})


BEHAVIOURS: dict[str, Callable[[str], None]] = {
    behaviour.__name__: behaviour
    for behaviour in (succeed, serve, refuse, crash, say_nothing, mumble, die, die_with_a_result, obey, babble, keep_a_peer,
                      succeed_when_stopped,
                      keep_a_daemon, leave_a_daemon)
}

if __name__ == "__main__":
    work = json.loads(Path(sys.argv[1]).read_text())["work"]
    BEHAVIOURS[work["input"]](work["output"])
