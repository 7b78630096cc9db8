"""The core: one answer for one record, in order, whatever the pipes and the command do."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import threading

import pytest

from alinfik import SCORE_KEYS, Scorer, ScorerError
from conftest import CORNERS, scores_of


@pytest.fixture
def scorer(command, valuator):
    with Scorer(valuator, command=command, threads=1) as scorer:
        yield scorer


def within(seconds, function):
    """The result of `function`; fails the test where it does not come, which is how a deadlock shows."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert results, "no answer: a deadlock, or an error above"
    return results[0]


def test_scores_equal_the_commands(scorer, records, by_command, tmp_path):
    answers = list(scorer.stream(records))
    expected = by_command(records, tmp_path)
    assert scores_of(answers) == scores_of(expected)
    assert [answer["text"] for answer in answers] == [record["text"] for record in records]
    scored = [answer for answer in answers if "alinfik_score" in answer]
    assert len(scored) == len(records) - 2 and len({answer["alinfik_score"] for answer in scored}) > 400
    assert all("alinfik_low" in answer and "alinfik_ood" in answer for answer in scored)
    assert "text is empty" in answers[300]["alinfik_error"] and not answers[300]["alinfik_error"].startswith("standard")


def test_lines_come_back_as_the_command_writes_them(scorer, command, valuator):
    lines = ['{"text": "a cat",  "kept": [1, 2.50]}', '{"text":"\u2028 caf\\u00e9", "id": 12345678901234567890}', "no"]
    result = subprocess.run(
        [command, "score", valuator, "--on-error", "mark", "--quiet"], input="\n".join(lines).encode(),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    expected = result.stdout.splitlines()
    assert scorer.score([line.encode() for line in lines]) == expected
    assert scorer.score([line + "\n" for line in lines])[:2] == [line.decode() for line in expected[:2]]
    mixed = scorer.score([lines[0], {"text": "a cat"}])
    assert json.loads(mixed[0])["alinfik_score"] == mixed[1]["alinfik_score"]


def test_blank_lines_are_answered_too(scorer):
    answers = within(120, lambda: scorer.score(["", '{"text": "a cat"}', " \t\r\n", ""]))
    assert ["alinfik_error" in json.loads(answer) for answer in answers] == [True, False, True, True]


@pytest.mark.parametrize("count", [0, 1, 3, 255, 256, 257, 300, 1000])
def test_a_batch_is_answered_before_the_input_ends(command, valuator, count):
    with Scorer(valuator, command=command) as scorer:
        for _ in range(2):
            texts = [f"a cat and {i} dogs" for i in range(count)]
            answers = within(120, lambda: scorer.score({"text": text} for text in texts))
            assert [answer["text"] for answer in answers] == texts
            assert all("alinfik_score" in answer for answer in answers)
        assert scorer.process.poll() is None


def test_a_score_does_not_depend_on_its_batch(scorer, records):
    alone = [scorer.score([record])[0] for record in records[:40]]
    assert alone == scorer.score(records)[:40]


def test_records_larger_than_pipes(scorer):
    # Each is many times what a pipe holds (64 KiB), on the way in and on the way out.
    records = [{"text": f"{i} " + "a cat by the river. " * 50_000} for i in range(12)]
    answers = within(300, lambda: scorer.score(json.dumps(record) for record in records))
    assert [json.loads(answer)["text"] for answer in answers] == [record["text"] for record in records]


def test_a_slow_reader_of_many_lines(scorer):
    # All pipes are full while nothing is read.
    stream = scorer.stream(json.dumps({"text": f"a cat {i}", "kept": "x" * 2000}) for i in range(2000))
    first = next(stream)
    rest = within(300, lambda: list(stream))
    assert [json.loads(line)["text"] for line in [first, *rest]] == [f"a cat {i}" for i in range(2000)]


def test_no_more_is_read_ahead_than_two_windows(scorer):
    taken = []
    stream = scorer.stream(taken.append(i) or {"text": f"a cat {i}"} for i in range(5000))
    next(stream)
    assert len(taken) <= 2 * 256 + 1
    stream.close()


def test_a_stream_that_is_broken_off_does_not_disturb_the_next(scorer):
    for answer in scorer.stream({"text": f"a cat {i}"} for i in range(600)):
        break
    del answer
    assert scorer.score([{"text": "the moon"}])[0]["text"] == "the moon"

    def failing():
        yield {"text": "a dog"}
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(scorer.stream(failing()))
    lines = scorer.score(['{"text": "the sun"}'])
    assert json.loads(lines[0])["text"] == "the sun"


def test_two_streams_at_once_are_refused(scorer):
    stream = scorer.stream({"text": "a cat"} for _ in range(600))
    next(stream)
    with pytest.raises(RuntimeError, match="earlier stream"):
        scorer.score([{"text": "a dog"}])
    assert len(list(stream)) == 599


def test_other_keys_may_hold_anything_and_old_scores_go(scorer):
    thing = object()
    record = {"text": "a cat", "thing": thing, "number": float("nan"), "alinfik_score": 99, "alinfik_error": "old"}
    answer, = scorer.score([record])
    assert answer["thing"] is thing and answer["alinfik_score"] != 99 and "alinfik_error" not in answer
    assert record["alinfik_score"] == 99, "the record itself is not changed"
    empty, = scorer.score([{"text": "", "alinfik_score": 99}])
    assert "alinfik_score" not in empty and empty["alinfik_error"]


def test_shapes_of_records(scorer, by_command, tmp_path):
    rows = [
        {"prompt": "who", "completion": "the dog"}, {"instruction": "say", "input": "", "output": "a\nb"},
        {"messages": [{"role": "user", "content": "who\u2028"}, {"role": "assistant", "content": "a cat"}]},
        {"prompt": "who"}, {"text": "\ud800 alone"},
    ]
    answers = scorer.score(rows)
    assert scores_of(answers) == scores_of(by_command(rows, tmp_path))
    assert ["alinfik_score" in answer for answer in answers] == [True, True, True, False, False]


def test_text_field_and_options(command, valuator, by_command, tmp_path):
    rows = [{"body": {"words": text}, "text": "not this"} for text in CORNERS]
    with Scorer(valuator, command=command, text_field="body.words", options=["--raw"]) as scorer:
        answers = scorer.score(rows)
    assert scores_of(answers) == scores_of(by_command(rows, tmp_path, "--text-field", "body.words", "--raw"))
    assert all("alinfik_low" not in answer for answer in answers)


@pytest.mark.parametrize(
    "record, error", [(3, TypeError), ("{}\n{}", ValueError), ({"text": {1, 2}}, TypeError), (None, TypeError)])
def test_what_is_no_record_is_refused(scorer, record, error):
    with pytest.raises(error):
        scorer.score([{"text": "a cat"}, record])
    assert "alinfik_score" in scorer.score([{"text": "a cat"}])[0]


def test_a_killed_command_is_an_error_that_says_so(command, valuator):
    scorer = Scorer(valuator, command=command)
    got = []
    with pytest.raises(ScorerError, match=r"SIGKILL \(exit code -9\), \d+ records sent") as caught:
        for answer in scorer.stream({"text": f"a cat {i}"} for i in range(100_000)):
            got.append(answer)
            if len(got) == 700:
                os.kill(scorer.process.pid, signal.SIGKILL)
    assert caught.value.exit_code == -9
    assert len(got) >= 700 and [a["text"] for a in got] == [f"a cat {i}" for i in range(len(got))]
    with pytest.raises(ScorerError, match="closed, or its command has failed"):
        scorer.score([{"text": "a dog"}])
    scorer.close()


def test_a_command_that_fails_shows_its_last_words(command, tmp_path):
    scorer = Scorer(tmp_path / "nowhere", command=command)
    with pytest.raises(ScorerError, match="exit code 66(?s:.*)nowhere: this is no valuator") as caught:
        scorer.score([{"text": "a cat"}] * 3)
    assert caught.value.exit_code == 66 and "nowhere" in caught.value.stderr
    with pytest.raises(ScorerError, match="exit code 66"), Scorer(tmp_path / "nowhere", command=command):
        pass
    with pytest.raises(ScorerError, match="no-such-alinfik"):
        Scorer(tmp_path, command="no-such-alinfik")
    import pickle

    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value) and copy.exit_code == 66


def test_the_environment_is_the_one_given(valuator, tmp_path):
    script = tmp_path / "prints-environment"
    script.write_text("#!/bin/sh\nread line\n/usr/bin/env | /usr/bin/sort | /usr/bin/tr '\\n' ';'; echo\n")
    script.chmod(0o755)
    os.environ["ALINFIK_TEST_SECRET"] = "seen"
    try:
        with Scorer(valuator, command=str(script), environment={"OMP_NUM_THREADS": "1"}) as scorer:
            line, = scorer.score(["{}"])
        assert "OMP_NUM_THREADS=1" in line and "SECRET" not in line
        with Scorer(valuator, command=str(script)) as scorer:
            assert "ALINFIK_TEST_SECRET=seen" in scorer.score(["{}"])[0]
    finally:
        del os.environ["ALINFIK_TEST_SECRET"]


def test_an_answer_too_many_is_an_error(valuator, tmp_path):
    script = tmp_path / "answers-twice"
    script.write_text("#!/bin/sh\nread line\necho '{}'\ncat > /dev/null\necho '{}'\n")
    script.chmod(0o755)
    scorer = Scorer(valuator, command=str(script))
    assert scorer.score([{"text": "a cat"}]) == [{"text": "a cat"}]
    with pytest.raises(ScorerError):
        scorer.close()


def test_a_command_that_complains_at_length(valuator, tmp_path):
    script = tmp_path / "complains"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfor line in sys.stdin:\n"
        "    sys.stderr.write('no! ' * 100_000 + '\\n')\n    sys.stdout.write(line)\n    sys.stdout.flush()\n"
        "sys.exit('the last words')\n")
    script.chmod(0o755)
    scorer = Scorer(valuator, command=str(script))
    assert len(within(120, lambda: scorer.score(["{}"] * 20))) == 20
    with pytest.raises(ScorerError, match="exit code 1, 0 records(?s:.*)the last words"):
        scorer.close()


def test_a_scorer_stays_in_its_process(scorer):
    child = os.fork()
    if child == 0:
        try:
            scorer.score([{"text": "a cat"}])
            os._exit(1)
        except RuntimeError as error:
            os._exit(0 if "another process" in str(error) else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert "alinfik_score" in scorer.score([{"text": "a cat"}])[0]


def test_no_process_is_left_behind(command, valuator):
    with pytest.raises(KeyError), Scorer(valuator, command=command) as broken:
        next(broken.stream({"text": "a cat"} for _ in range(600)))
        raise KeyError
    assert broken.process.returncode == -signal.SIGKILL
    forgotten = Scorer(valuator, command=command)
    process = forgotten.process
    del forgotten
    assert process.wait(60) == -signal.SIGKILL
    # A script that never closes its scorer ends, and with it the command.
    script = f"import alinfik; s = alinfik.Scorer({valuator!r}, command={command!r}); s.score([dict(text='a')]); "
    result = subprocess.run(
        [sys.executable, "-c", script + "print(s.process.pid)"], stdout=subprocess.PIPE, timeout=120, check=True)
    ended = pathlib.Path("/proc") / result.stdout.decode().strip() / "status"
    for _ in range(600):  # its input has ended; the command needs a moment to end too
        if not ended.exists() or "zombie" in ended.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"the command goes on: {ended.read_text()}")


def test_the_core_needs_the_standard_library_alone():
    script = "import sys, alinfik; print(*sorted(m.split('.')[0] for m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, cwd=pathlib.Path(__file__).parents[1])
    foreign = set(result.stdout.decode().split()) & {"pyarrow", "numpy", "pandas", "torch", "ray", "pyspark"}
    assert not foreign
    assert "alinfik_score" in SCORE_KEYS
