"""`alinfik score`, kept running as a subprocess that answers records as they come."""

import collections
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import threading

SCORE_KEYS = (
    "alinfik_score", "alinfik_low", "alinfik_high", "alinfik_ood", "alinfik_tokens", "alinfik_truncated",
    "alinfik_valuator", "alinfik_error",
)
"""The keys that the command writes. Those of an earlier score are removed from a record."""

TEXT_KEYS = ("text", "messages", "prompt", "completion", "instruction", "input", "output")
"""The keys that the command reads a text from, where no `text_field` is given."""

# Records are sent in windows: no more than this many lines, and no more bytes where a line is shorter than that.
WINDOW_LINES = 256
WINDOW_BYTES = 1 << 20

# What is kept of the command's standard error for messages.
STDERR_LINES = 20

log = logging.getLogger("alinfik")


class ScorerError(RuntimeError):
    """The command ended before it had answered every record, or with an exit code other than 0.

    `exit_code` is negative, minus the signal's number, where a signal ended it; None where it could not be
    started. `stderr` is the end of what it wrote there.
    """

    def __init__(self, message, exit_code=None, stderr=""):
        super().__init__(message, exit_code, stderr)
        self.exit_code = exit_code
        self.stderr = stderr

    def __str__(self):
        return self.args[0]


class Scorer:
    """Scores records with a valuator: one answer for one record, in the same order.

    A record is a dictionary, or one line of JSON as `str` or `bytes`; its answer is of the same type. A dictionary
    comes back as a new one with the keys in `SCORE_KEYS` that the command gave; only the keys that hold its text
    are sent, so that the others may hold anything. A line comes back as the command writes it, without its end.

    A record that cannot be scored has `alinfik_error` and no `alinfik_score`. Everything else that goes wrong
    raises: `ScorerError` where the command fails, `TypeError` where a text cannot be written as JSON.

    Use it as a context manager, or call `close`. It belongs to the thread and the process that made it.

    valuator: the valuator's directory.
    command: the `alinfik` executable, a name to be looked for in PATH or a path.
    text_field: where a record's text is, a dot path; without it the record's shape is recognised.
    threads: worker threads of the command; without it, all processors that this process may use.
    options: further arguments of `alinfik score`, such as `["--raw"]`.
    environment: the command's whole environment; without it, that of this process.
    """

    def __init__(self, valuator, *, command="alinfik", text_field=None, threads=None, options=(), environment=None):
        self._is_over = True  # until the command runs
        self._is_streaming = False
        self._unanswered = 0
        self._text_keys = text_keys(text_field)
        executable = shutil.which(command)
        if executable is None:
            raise ScorerError(f"{command}: no such command; put alinfik into PATH or say where it is (command=)")
        arguments = arguments_of_score(executable, valuator, text_field=text_field, threads=threads, options=options)
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=None if environment is None else dict(environment),
        )
        self._is_over = False
        self._owner = os.getpid()
        self._outgoing = queue.SimpleQueue()
        self._stderr = collections.deque(maxlen=STDERR_LINES)
        # Two threads besides ours, so that no pipe can fill up with nobody reading at its other end. They do not
        # know this object, and so do not keep it alive.
        self._feeder = _thread(_feed, self.process.stdin, self._outgoing)
        self._listener = _thread(_listen, self.process.stderr, self._stderr)

    def score(self, records):
        """The answers to `records`, as a list. Returns when all are there; the command goes on waiting for more."""
        return list(self.stream(records))

    def stream(self, records):
        """The answers to an iterable of records, one by one, in bounded memory.

        Up to 512 records are read ahead (fewer where they are long), by the thread that asks for answers.
        """
        self._check_usable()
        self._is_streaming = True
        sent = collections.deque()
        try:
            for window in self._windows(records):
                sent.append(window)
                if len(sent) > 1:  # the command has the next window to work on
                    yield from self._answers(sent.popleft())
            while sent:
                yield from self._answers(sent.popleft())
        finally:
            self._is_streaming = False
            # Where the caller had enough, or `records` raised: the next stream must not get these answers.
            while self._unanswered and not self._is_over:
                self._read()

    def close(self):
        """Ends the command; raises `ScorerError` unless it ends well. Does nothing when it is over already."""
        if self._is_over:
            return
        self._end_input()
        rest = self.process.stdout.read()
        if self.process.wait() != 0 or rest:
            raise self._failure()
        self._clean_up()

    def kill(self):
        """Ends the command at once. Does nothing when it is over already."""
        if self._is_over:
            return
        self.process.kill()
        self._end_input()
        self._clean_up()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.close()
        else:
            self.kill()

    def __del__(self):
        # In another process (after a fork) it is not ours to end. Nothing is waited for: Python may be ending.
        if not self._is_over and self._owner == os.getpid():
            self.process.kill()
            self._outgoing.put(None)

    def _check_usable(self):
        if self._is_over:
            raise ScorerError("this scorer is closed, or its command has failed")
        if self._owner != os.getpid():
            raise RuntimeError("this scorer belongs to another process: make one in each")
        if self._is_streaming:
            raise RuntimeError("an earlier stream of this scorer is neither read to its end nor closed")

    def _windows(self, records):
        """Sends the records, and gives those that were sent together."""
        window, lines, size = [], [], 0
        for record in records:
            line = self._line(record)
            if window and (len(window) == WINDOW_LINES or size + len(line) > WINDOW_BYTES):
                self._send(lines)
                yield window
                window, lines, size = [], [], 0
            window.append(record)
            lines.append(line)
            size += len(line)
        if window:
            self._send(lines)
            yield window

    def _line(self, record):
        """The bytes that are sent for a record, without a line end."""
        if isinstance(record, dict):
            sent = {key: record[key] for key in self._text_keys if key in record}
            return json.dumps(sent, default=_as_json).encode("ascii")
        if not isinstance(record, (str, bytes)):
            raise TypeError(f"a record is a dictionary, str or bytes, not {type(record).__name__}")
        line = record.encode("utf-8") if isinstance(record, str) else record
        line = line[:-1] if line.endswith(b"\n") else line
        if b"\n" in line:
            raise ValueError("a record that is a line of JSON cannot hold a line end")
        return line

    def _send(self, lines):
        self._unanswered += len(lines)
        self._outgoing.put(b"\n".join(lines) + b"\n")

    def _answers(self, window):
        for record in window:
            line = self._read()
            if isinstance(record, dict):
                yield _with_scores(record, json.loads(line))
            else:
                yield line.decode("utf-8") if isinstance(record, str) else line

    def _read(self):
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._failure()
        self._unanswered -= 1
        return line[:-1]

    def _end_input(self):
        self._outgoing.put(None)
        self._feeder.join()

    def _failure(self):
        """The error that says why standard output has ended."""
        self._end_input()
        code = self.process.wait()
        unanswered = self._unanswered
        self._clean_up()
        stderr = "\n".join(self._stderr)
        how = f"was ended by {_signal_name(-code)} (exit code {code})" if code < 0 else f"ended with exit code {code}"
        message = f"alinfik score {how}, {unanswered} records sent and not answered"
        return ScorerError(f"{message}:\n{stderr}" if stderr else message, code, stderr)

    def _clean_up(self):
        self._is_over = True
        self._unanswered = 0
        self.process.wait()
        self._listener.join()
        self.process.stdout.close()


def arguments_of_score(executable, valuator, *, text_field=None, threads=None, options=()):
    """The command line that answers each line, marking those that cannot be scored."""
    arguments = [executable, "score", os.fspath(valuator), "--on-error", "mark", "--quiet"]
    if text_field is not None:
        arguments += ["--text-field", text_field]
    if threads is not None:
        arguments += ["--threads", str(threads)]
    return arguments + list(options)


def text_keys(text_field=None):
    """The keys of a record that may hold its text: of a dot path also its first part."""
    return TEXT_KEYS if text_field is None else tuple(dict.fromkeys([text_field, text_field.split(".")[0]]))


def _with_scores(record, answer):
    scored = {key: value for key, value in record.items() if key not in SCORE_KEYS}
    scored.update((key, answer[key]) for key in SCORE_KEYS if key in answer)
    error = scored.get("alinfik_error", "")
    if error.startswith("standard input:"):  # the line's number says nothing to the caller
        scored["alinfik_error"] = error.partition(": ")[2]
    return scored


def _as_json(value):
    """What `json` does not know: text as bytes, and arrays as numpy and pandas have them."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a record's text cannot hold a {type(value).__name__}")


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _feed(stdin, outgoing):
    """Writes what is queued, until None. The one who reads the answers notices when the command is gone."""
    try:
        with stdin:
            for data in iter(outgoing.get, None):
                stdin.write(data)
                stdin.flush()
    except BrokenPipeError:
        pass


def _listen(stderr, lines):
    """Keeps the last lines of standard error, and logs each."""
    with stderr:
        for line in stderr:
            lines.append(line.decode("utf-8", "replace").rstrip())
            log.warning("%s", lines[-1])
