"""The package ray, as far as a launcher sees it: a task is a thread of this process."""

import ctypes
import sys
import threading
from types import ModuleType, SimpleNamespace


def fake_ray(nodes):
    """A module to take its place.

    Args:
        nodes: the resources of each node.
    """
    ray = ModuleType("ray")
    ray.told = SimpleNamespace(init=None, asked=[], shut=0, gone=False)

    class RayError(Exception):
        pass

    class TaskCancelledError(RayError):
        pass

    class RayTaskError(RayError):
        pass

    class Task(threading.Thread):
        def __init__(self, function, work):
            super().__init__(daemon=True)
            self.function, self.work, self.code, self.error = function, work, None, None
            self.start()

        def run(self):
            try:
                self.code = self.function(self.work)
            except Exception as error:
                self.error = RayTaskError(f"ray::carry_out()\n{type(error).__name__}: {error}")

    def init(address, **more):
        if address == "ray://nowhere:10001":
            raise ConnectionError("ray client connection timeout")
        if address == "ray://slow:10001":
            told = "Traceback (most recent call last):\n  File ...\nRuntimeError: Starting Ray client server failed."
            raise ConnectionAbortedError(f"Initialization failure from server:\n{told}\n")
        ray.told.init = (address, more)

    def remote(**asked):
        ray.told.asked.append(asked)
        return lambda function: SimpleNamespace(remote=lambda work: Task(function, work))

    def get(task):
        if task.error:
            raise task.error
        return task.code

    def wait(tasks, timeout):
        """A client that notices that its cluster is gone is none any more."""
        if ray.told.gone:
            ray.is_initialized = lambda: False
            raise ConnectionError("Client is shutting down.")
        return ([], tasks) if any(task.is_alive() for task in tasks) else (tasks, [])

    def cancel(task, force=False):
        assert ray.is_initialized(), "ray would start a cluster of this machine, for a task that it does not know"
        if force:
            task.error = TaskCancelledError()
            task.work.process.kill()
        elif task.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(task.ident), ctypes.py_object(KeyboardInterrupt))

    def shutdown():
        ray.told.shut += 1

    ray.exceptions = SimpleNamespace(
        RayError=RayError, TaskCancelledError=TaskCancelledError, RayTaskError=RayTaskError
    )
    ray.is_initialized, ray.wait = lambda: True, wait
    ray.nodes = lambda: [{"Alive": True, "Resources": node} for node in nodes]
    ray.init, ray.remote, ray.get, ray.cancel, ray.shutdown = init, remote, get, cancel, shutdown
    sys.modules["ray"] = ray
    return ray
