"""Kernels on torch tensors through DLPack, and as operators that torch's compiler knows."""

import os
import unittest

import kcc
import torch

import kcc.torch

PATH = os.environ["KCC_TEST_PACK"]
PACK = kcc.load(PATH)
IN_PLACE = kcc.torch.register(PACK, "checked", "kcc_test::checked")
NEW = kcc.torch.register(PACK, "checked", "kcc_test::copied", outputs=torch.empty_like)
AXPBY = kcc.torch.register(PACK, "axpby", "kcc_test::axpby")


class Tensors(unittest.TestCase):
    def test_tensors_are_written_where_they_lie(self):
        x = torch.arange(12.0).reshape(3, 4)
        y = torch.ones(3, 4)
        PACK["axpby"](2, 0.5, x, y)
        self.assertTrue(torch.equal(y, 2 * x + 0.5))
        PACK["axpby"](1, 0, x.t()[::2], y.t()[::2])
        self.assertTrue(torch.equal(y[:, ::2], x[:, ::2]))
        self.assertTrue(torch.equal(y[:, 1::2], (2 * x + 0.5)[:, 1::2]))

    def test_numpy_and_torch_together(self):
        x, y = torch.arange(6).reshape(2, 3), torch.zeros(2, 3, dtype=torch.int64)
        PACK["axpby"](1, 0, x, y.numpy())
        self.assertTrue(torch.equal(x, y))

    def test_memory_is_released(self):
        import weakref

        x, y = torch.ones(2, 2), torch.zeros(2, 2)
        storage = weakref.ref(x)
        PACK["axpby"](1, 0, x, y)
        del x
        self.assertIsNone(storage())

    def test_mistakes(self):
        x, y = torch.ones(2, 2), torch.zeros(2, 2)
        with self.assertRaisesRegex(kcc.ArgumentError, "argument x: kernels have no element type like torch.float64"):
            PACK["axpby"](1, 0, x.double(), y)
        with self.assertRaisesRegex(kcc.ArgumentError, "argument x: .*requires a gradient"):
            PACK["axpby"](1, 0, x.requires_grad_(), y)
        with torch.no_grad():
            PACK["axpby"](1, 0, x, y)
        self.assertTrue(torch.equal(y, x))
        with self.assertRaisesRegex(kcc.ArgumentError, "shares memory"):
            PACK["axpby"](1, 0, y, y)
        with self.assertRaises(kcc.ArgumentError):
            PACK["axpby"](1, 0, torch.empty(2, 2, device="meta"), y)


class Operators(unittest.TestCase):
    def test_eager(self):
        x, y = torch.rand(3, 4), torch.zeros(3, 4)
        self.assertIsNone(IN_PLACE(x, y))
        self.assertTrue(torch.equal(x, y))
        self.assertTrue(torch.equal(NEW(x), x))

    def test_torch_checks_schema_fakes_and_tracing(self):
        for dims in ((3, 4), (1, 9)):
            x = torch.rand(*dims)
            torch.library.opcheck(NEW, (x,))
            torch.library.opcheck(IN_PLACE, (x, torch.zeros(*dims)))
        wide = torch.rand(2, 8)[:, ::2]
        torch.library.opcheck(NEW, (wide,))

    def test_a_whole_graph_is_compiled(self):
        @torch.compile(fullgraph=True, backend="eager", dynamic=True)
        def model(x):
            y = torch.zeros_like(x)
            IN_PLACE(x + 1, y)
            return NEW(y * 2) + 1

        for dims in ((3, 4), (5, 2)):
            x = torch.rand(*dims)
            self.assertTrue(torch.equal(model(x), (x + 1) * 2 + 1))

    def test_numbers(self):
        x, y = torch.ones(2, 2), torch.ones(2, 2)
        AXPBY(2, 0.5, x, y)
        self.assertTrue(torch.equal(y, torch.full((2, 2), 2.5)))
        ix, iy = torch.ones(2, 2, dtype=torch.int64), torch.ones(2, 2, dtype=torch.int64)
        AXPBY(2, 3, ix, iy)
        self.assertTrue(torch.equal(iy, torch.full((2, 2), 5)))

    def test_errors_come_through(self):
        with self.assertRaisesRegex(kcc.StoppedError, "a row is not negative"):
            NEW(-torch.ones(2, 2))
        with self.assertRaisesRegex(kcc.LoadError, "there are axpby"):
            kcc.torch.register(PACK, "none")


if __name__ == "__main__":
    unittest.main()
