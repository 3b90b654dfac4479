"""Tasks on the workers of a Dask cluster that runs already; knows of them only what `attempt` can do anywhere."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nanocode.errors import UsageError
from nanocode.jobs.attempt import Plan, Result, halt, halted_within, perform
from nanocode.jobs.tasks import Task

_LOOK_SECONDS = 0.1


class Cluster:
    """The cluster at `address`, such as `tcp://host:8786`. `resources` are what a task takes of a worker's.

    Raises UsageError when there is none, or when Dask is not installed.
    """

    def __init__(self, address: str, resources: Mapping[str, float], seconds: float) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UsageError("`--scheduler` needs Dask", "pip install 'nanocode[dask]'") from None
        try:
            self._client: Any = Client(address, set_as_default=False, timeout=seconds)
        except (OSError, ValueError) as error:
            raise UsageError(f"no cluster answers at `{address}`: {error}", "start one: dask scheduler") from None
        self._resources = dict(resources)

    def run(self, tasks: Sequence[Task], plan: Plan) -> Iterator[Result]:
        from distributed import as_completed

        by_key = {f"nanocode-{plan.batch}-{task.name}": task for task in tasks}
        futures = self._client.map(
            perform,
            list(by_key.values()),
            plan=plan,
            key=list(by_key),
            pure=False,
            retries=max(plan.tries - 1, 0),
            resources=self._resources or None,
        )
        completed = as_completed(futures, loop=self._client.loop)
        try:
            while completed.count():
                for future in completed.next_batch(block=False):
                    yield self._result(future, by_key[future.key])
                    # The scheduler keeps a result as long as someone holds its future.
                    future.release()
                # Its own blocking wait does not end when the batch is halted.
                if halted_within(plan.batch, _LOOK_SECONDS):
                    self._client.run(halt, plan.batch)
                    self._client.cancel(futures)
                    return
        finally:
            self._client.close()

    def _result(self, future: Any, task: Task) -> Result:
        error = future.exception() if future.status != "finished" else None
        if error is None:
            result: Result = future.result()
            return result
        nothing = {"text": "", "code": None, "session": "", "turns": 0, "cost": 0.0, "seconds": 0.0, "host": ""}
        about = {"id": task.id, "digest": task.digest, "state": "failed", "error": f"{type(error).__name__}: {error}"}
        return about | nothing | {"usage": {"input": 0, "output": 0, "cached": 0}, "transient": True, "tries": 1}
