"""Generated code by which threads share the items of a call.

The caller opens a job, wakes the workers and works along. Items are cut into chunks, and whoever is free takes the next
one, so that a thread which is held up, or has not even woken, holds nothing up but the chunk it is at. When all chunks
are done the caller returns. A worker looks out for another job for a while, then sleeps.

- A late worker cannot get into a job that is being set up: the count of chunks left is written last, and what else
  belongs to a job is read only by who has taken a chunk of it, before whose end the job cannot end.
- No sleeper is forgotten: a thread says that it sleeps before it looks for the last time, and whoever has news for it
  looks whether it sleeps after giving them. These are atomic and in one order for all threads.

Where the threads are an OpenMP team (`openmp.py`), the runtime wakes them, waits for them and gives them numbers: what
is left is to take chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ll

from trous.backends.cpu.header import NO_MARK, POINTER_COUNT
from trous.backends.cpu.ir import Function
from trous.backends.cpu.values import I32, I64, LINE, POINTER, Int, Variable

#: Places in the block of a job; what several threads write has a cache line of its own. Chunks left, chunks done,
#: whether the caller sleeps and whether there is a job; what belongs to the job, its arrays last; the caller's lock and
#: the functions of locks; of an OpenMP team the function that tells a thread's number; which of its jobs a block is at.
LEFT, DONE, CALLER_SLEEPS, BUSY = 0, 8, 16, 24
CHUNKS, ITEMS, KERNEL, HEADER, SCRATCH, SIZE, ARRAYS = range(32, 39)
CALLER_LOCK, ACQUIRE, RELEASE, WHO, SERIAL = 48, 49, 50, 51, 52
JOB_LENGTH = 56
#: Places in the block of a worker: whether it sleeps, its lock, its job and its number; the caller is number 0.
SLEEPS, LOCK, JOB, NUMBER = 0, 1, 2, 3
WORKER_LENGTH = 8
#: Rounds of looking for a job, or for the end of one, before a thread sleeps: some 20 microseconds, about what it takes
#: to wake it. Layers that follow each other at once then find the workers awake.
PATIENCE = 400

#: Chunks of items for each thread: how evenly they are shared, against what it costs to begin one.
CHUNKS_EACH = 4

#: Arguments of `launch`, integers all: job, kernel, header, scratch memory and how much of it each thread has, items,
#: chunks, a table of workers, how many of them to wake, and the kernel's arrays. `work` has one, the worker.
LAUNCH_ARGUMENTS = 9 + POINTER_COUNT
#: Arguments of `open_team`: the runtime's function that opens a team, the one that tells a thread's number, `join`,
#: threads, kernel, header, scratch memory, how much of it each thread has, items, chunks, and the kernel's arrays.
TEAM_ARGUMENTS = 10 + POINTER_COUNT


def build_launch(name: str, has_pause: bool) -> str:
    """LLVM IR of the function that runs a job, or if there is one already, all items by itself."""
    code = _Code(name, LAUNCH_ARGUMENTS, has_pause)
    fn = code.fn
    job, kernel, header, scratch, size, items, chunks, workers, count, *arrays = fn.arguments
    with fn.either(code.exchange(job, BUSY, 1).equals(0)) as (free, taken):
        with taken:
            code.run(kernel, header, scratch, arrays, fn.number(0), items)
        with free:
            code.exchange(job, DONE, 0)
            code.write(job, SERIAL, code.read(job, SERIAL) + 1)
            code.set_up(job, kernel, header, scratch, size, items, chunks, arrays)
            with fn.loop(0, count) as i:
                code.wake(job, code.read(workers + i * 8, 0), SLEEPS, LOCK)
            code.take_chunks(job, fn.number(0), lambda: code.one_more(job, chunks))
            code.wait(lambda: code.look(job, DONE).differs(chunks), job, job, CALLER_SLEEPS, CALLER_LOCK)
            code.exchange(job, BUSY, 0)
    return code.finish()


def build_work(name: str, has_pause: bool) -> str:
    """LLVM IR of a worker's endless function."""
    code = _Code(name, 1, has_pause)
    fn = code.fn
    (worker,) = fn.arguments
    job, number = code.read(worker, JOB), code.read(worker, NUMBER)
    with fn.repeat(lambda: fn.number(0).equals(0)):
        code.take_chunks(job, number, lambda: code.one_more(job, code.read(job, CHUNKS)))
        code.wait(lambda: code.look(job, LEFT) <= 0, job, worker, SLEEPS, LOCK)
    return code.finish()


def build_open(name: str) -> str:
    """LLVM IR of the function that runs a job, which lies on its stack, by an OpenMP team."""
    code = _Code(name, TEAM_ARGUMENTS, has_pause=False)
    parallel, who, join, threads, kernel, header, scratch, size, items, chunks, *arrays = code.fn.arguments
    job = code.block(JOB_LENGTH)
    code.write(job, WHO, who)
    code.write(job, SERIAL, code.fn.number(1))
    code.set_up(job, kernel, header, scratch, size, items, chunks, arrays)
    count = code.fn.builder.trunc(threads.value, I32)
    code.call(parallel, ll.VoidType(), [code.pointer(join), code.pointer(job), count, ll.Constant(I32, 0)])
    return code.finish()


def build_join(name: str) -> str:
    """LLVM IR of what each thread of a team does with a job."""
    code = _Code(name, 1, has_pause=False)
    (job,) = code.fn.arguments
    number = code.call(code.read(job, WHO), I32, [])
    code.take_chunks(job, Int(code.fn, code.fn.builder.zext(number, I64)), lambda: None)
    return code.finish()


class _Code:
    """A function of integers alone, blocks of numbers among them as addresses: what other threads write into them must
    not be taken for known."""

    def __init__(self, name: str, arguments: int, has_pause: bool):
        self.module = ll.Module(name)
        self.fn = Function(self.module, name, pointers=0, integers=arguments)
        self.has_pause = has_pause

    def set_up(
        self,
        job: Int,
        kernel: Int,
        header: Int,
        scratch: Int,
        size: Int,
        items: Int,
        chunks: Int,
        arrays: Sequence[Int],
    ) -> None:
        numbers = {CHUNKS: chunks, ITEMS: items, KERNEL: kernel, HEADER: header, SCRATCH: scratch, SIZE: size}
        for place, number in (numbers | {ARRAYS + i: array for i, array in enumerate(arrays)}).items():
            self.write(job, place, number)
        self.exchange(job, LEFT, chunks)

    def take_chunks(self, job: Int, thread: Int, done: Callable[[], None]) -> None:
        """Work until no chunk is left; after each, `done`.

        A worker that asks for the next chunk a little late may get one of the next job: it begins anew there.
        """
        fn = self.fn
        left, begun = Variable(fn, self.add(job, LEFT, -1)), Variable(fn, 0)
        with fn.repeat(lambda: left.get() > 0):
            chunks, items = self.read(job, CHUNKS), self.read(job, ITEMS)
            begin, end = (items - self.remaining(items, number, chunks) for number in (left.get(), left.get() - 1))
            scratch = self.read(job, SCRATCH) + thread * self.read(job, SIZE)
            serial = self.read(job, SERIAL)
            with fn.when(begun.get().differs(serial)):
                self.write(scratch, 0, fn.number(NO_MARK))
                begun.set(serial)
            arrays = [self.read(job, ARRAYS + i) for i in range(POINTER_COUNT)]
            self.run(self.read(job, KERNEL), self.read(job, HEADER), scratch, arrays, begin, end)
            done()
            left.set(self.add(job, LEFT, -1))

    def one_more(self, job: Int, chunks: Int) -> None:
        """Count a chunk that is done; after the last, wake the caller."""
        with self.fn.when((self.add(job, DONE, 1) + 1).equals(chunks)):
            self.wake(job, job, CALLER_SLEEPS, CALLER_LOCK)

    def run(self, kernel: Int, header: Int, scratch: Int, arrays: Sequence[Int], begin: Int, end: Int) -> None:
        pointers = [self.pointer(address) for address in (header, scratch, *arrays)]
        self.call(kernel, ll.VoidType(), [*pointers, begin.value, end.value])

    def remaining(self, items: Int, left: Int, chunks: Int) -> Int:
        """Items that so many chunks leave over: ever smaller chunks, so that threads end at the same time."""
        squares = chunks * chunks
        return (items * left * left + squares - 1) // squares

    def wait(self, must_wait: Callable[[], Int], job: Int, thread: Int, sleeps: int, lock: int) -> None:
        """Look a number of times, then sleep until woken, while `must_wait`. The places are those of the thread."""
        fn = self.fn
        with fn.repeat(must_wait):
            rounds = Variable(fn, 0)
            with fn.repeat(lambda: (rounds.get() < PATIENCE) & must_wait()):
                if self.has_pause:
                    fn.call("llvm.x86.sse2.pause", ll.VoidType(), [])
                rounds.set(rounds.get() + 1)
            with fn.when(must_wait()):
                self.exchange(thread, sleeps, 1)
                asleep = Variable(fn, 1)
                with fn.either(must_wait()) as (then, otherwise):
                    with then:
                        pass
                    with otherwise:  # up again, unless somebody has just called
                        asleep.set(fn.number(1) - self.exchange(thread, sleeps, 0))
                with fn.when(asleep.get().differs(0)):
                    held = self.pointer(self.read(thread, lock))
                    self.call(self.read(job, ACQUIRE), I32, [held, ll.Constant(I32, 1)])

    def wake(self, job: Int, thread: Int, sleeps: int, lock: int) -> None:
        """Call a thread, if it sleeps."""
        with self.fn.when(self.exchange(thread, sleeps, 0).differs(0)):
            self.call(self.read(job, RELEASE), ll.VoidType(), [self.pointer(self.read(thread, lock))])

    def call(self, code: Int, returns: ll.Type, arguments: list[ll.Value]) -> ll.Value:
        kind = ll.FunctionType(returns, [argument.type for argument in arguments])
        return self.fn.builder.call(self.fn.builder.inttoptr(code.value, kind.as_pointer()), arguments)

    def block(self, length: int) -> Int:
        """So many numbers on the stack, from a cache line on."""
        place = self.fn.builder.alloca(ll.ArrayType(I64, length))
        place.align = LINE
        return Int(self.fn, self.fn.builder.ptrtoint(place, I64))

    def pointer(self, address: Int) -> ll.Value:
        return self.fn.builder.inttoptr(address.value, POINTER)

    def place(self, block: Int, place: int) -> ll.Value:
        return self.pointer(block + 8 * place)

    def read(self, block: Int, place: int) -> Int:
        return Int(self.fn, self.fn.builder.load(self.place(block, place), typ=I64))

    def write(self, block: Int, place: int, number: Int) -> None:
        self.fn.builder.store(number.value, self.place(block, place))

    def look(self, block: Int, place: int) -> Int:
        """Read what other threads may be writing."""
        return Int(self.fn, self.fn.builder.load_atomic(self.place(block, place), "seq_cst", 8, typ=I64))

    def exchange(self, block: Int, place: int, number: Any) -> Int:
        return self._at_once("xchg", block, place, number)

    def add(self, block: Int, place: int, number: int) -> Int:
        """Returns what was there before."""
        return self._at_once("add", block, place, number)

    def _at_once(self, operation: str, block: Int, place: int, number: Any) -> Int:
        value = self.fn.number(number).value
        return Int(self.fn, self.fn.builder.atomic_rmw(operation, self.place(block, place), value, "seq_cst"))

    def finish(self) -> str:
        self.fn.finish()
        return str(self.module)
