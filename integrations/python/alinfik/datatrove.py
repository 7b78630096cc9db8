"""Scores the documents of a datatrove pipeline.

    from alinfik.datatrove import AlinfikScore

    pipeline = [JsonlReader("in"), AlinfikScore("valuator"),
                LambdaFilter(lambda document: document.metadata.get("alinfik_score", -1) > 0), JsonlWriter("out")]
"""

from datatrove.pipeline.base import PipelineStep

from alinfik.scorer import SCORE_KEYS, Scorer


class AlinfikScore(PipelineStep):
    """Adds the command's keys to each document's metadata; documents keep their order.

    A document that cannot be scored has `alinfik_error` in place of a score. The arguments are those of
    `alinfik.Scorer`, but one thread is the default: an executor counts one processor for a task. Where the command
    ends, `ScorerError` fails the task, which the executor then does not note as complete.
    """

    name = "alinfik score"
    type = "SCORER"

    def __init__(self, valuator, *, command="alinfik", threads=1, options=(), environment=None):
        super().__init__()
        self.arguments = {
            "valuator": valuator, "command": command, "threads": threads, "options": options,
            "environment": environment,
        }

    def run(self, data, rank=0, world_size=1):
        with Scorer(**self.arguments) as scorer:
            # Keys that do not hold the text are not sent, and come back as they are.
            records = ({"text": document.text, "document": document} for document in data or ())
            for answer in scorer.stream(records):
                document = answer["document"]
                for key in SCORE_KEYS:
                    document.metadata.pop(key, None)
                    if key in answer:
                        document.metadata[key] = answer[key]
                self.stat_update("unscored" if "alinfik_error" in answer else "scored")
                self.update_doc_stats(document)
                yield document
