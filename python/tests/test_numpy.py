"""Kernels on numpy arrays: results, no copies, and a clear exception for every mistake.

The pack, KCC_TEST_PACK, is the one of capi/tests: axpby (y = a x + b y, f32 and i64), checked (asserts), worked (wants a workspace).
"""

import gc
import os
import threading
import unittest

import kcc
import numpy as np

PATH = os.environ["KCC_TEST_PACK"]


def matrix(rows, columns, dtype=np.float32):
    return np.arange(rows * columns).reshape(rows, columns).astype(dtype)


class Results(unittest.TestCase):
    def setUp(self):
        self.pack = kcc.load(PATH)
        self.axpby = self.pack.kernel("axpby")

    def test_a_call_writes_its_output_where_it_lies(self):
        for columns in (1, 3, 8, 9, 100):
            x, y = matrix(5, columns), matrix(5, columns) + 1
            expected = np.float32(2) * x + np.float32(0.5) * y
            self.assertIsNone(self.axpby(2, 0.5, x, y))
            # Halves of small integers: exact in f32.
            np.testing.assert_array_equal(y, expected)

    def test_any_strides_without_a_copy(self):
        whole_x, whole_y = matrix(8, 12), np.zeros((8, 12), np.float32)
        for cut in (np.s_[::2, ::3], np.s_[::-1, ::-1], np.s_[1:3, 2:5]):
            whole_y[:] = -1
            self.axpby(1, 0, whole_x[cut], whole_y[cut])
            expected = np.full_like(whole_y, -1)
            expected[cut] = whole_x[cut]
            np.testing.assert_array_equal(whole_y, expected)
        y = np.zeros((12, 8), np.float32)
        self.axpby(1, 0, whole_x.T, y)
        np.testing.assert_array_equal(y, whole_x.T)
        # Strides of 0 may be read.
        y = np.zeros((4, 3), np.float32)
        self.axpby(1, 0, np.broadcast_to(np.float32([1, 2, 3]), (4, 3)), y)
        np.testing.assert_array_equal(y, [[1, 2, 3]] * 4)

    def test_numbers_take_the_type_of_the_tensors(self):
        x, y = matrix(2, 3, np.int64), np.ones((2, 3), np.int64)
        self.axpby(3, -1, x, y)
        np.testing.assert_array_equal(y, 3 * matrix(2, 3, np.int64) - 1)
        self.axpby(np.int64(1), np.int64(0), x, y)
        np.testing.assert_array_equal(y, x)

    def test_nothing_to_do_is_fine(self):
        self.axpby(1, 0, np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))

    def test_prepared_once_launched_often(self):
        x, y = matrix(2, 8), np.zeros((2, 8), np.float32)
        prepared = self.axpby.prepare(1, 0, x, y)
        self.assertEqual((prepared.variant, prepared.workspace), (0, 0))
        for rows in (1, 7):
            x, y = matrix(rows, 4), np.zeros((rows, 4), np.float32)
            prepared(1, 0, x, y)
            np.testing.assert_array_equal(y, x)
        with self.assertRaisesRegex(kcc.LoadError, "which was chosen before, does not take"):
            prepared(1, 0, matrix(1, 9), np.zeros((1, 9), np.float32))

    def test_a_workspace_is_the_callers(self):
        x, y = matrix(3, 2), np.zeros((3, 2), np.float32)
        worked = self.pack["worked"]
        self.assertEqual(worked.prepare(x, y).workspace, 12)
        with self.assertRaisesRegex(kcc.ArgumentError, "needs 12 bytes of workspace, 0 were given"):
            worked.prepare(x, y)(x, y)
        with self.assertRaisesRegex(kcc.ArgumentError, "needs 12 bytes of workspace, 11 were given"):
            worked(x, y, workspace=np.zeros(11, np.uint8))
        worked(x, y, workspace=np.zeros(3, np.float32))
        np.testing.assert_array_equal(y, x)
        y[:] = 0
        worked(x, y)  # the device's own
        np.testing.assert_array_equal(y, x)

    def test_packs_from_memory_and_what_they_say(self):
        with open(PATH, "rb") as file:
            pack = kcc.load(file.read())
        pack.verify()
        self.assertEqual(pack.kernels, ["axpby", "checked", "worked"])
        self.assertEqual(pack["axpby"].op, ("axpby", 1))
        y = pack["axpby"].parameters[3]
        self.assertEqual((y.name, y.kind, y.rank), ("y", "output", 2))
        self.assertIs(pack["axpby"], pack.kernel("axpby", "cpu"))
        self.assertIn("axpby", repr(pack) + repr(y) + repr(pack["axpby"]))
        self.assertIn("1 threads", repr(kcc.Device("cpu:1")))

    def test_a_kernel_outlives_its_pack(self):
        kernel = kcc.load(PATH).kernel("axpby")
        gc.collect()
        x, y = matrix(1, 1) + 3, np.zeros((1, 1), np.float32)
        kernel(2, 0, x, y)
        self.assertEqual(y[0, 0], 6)

    def test_threads_share_a_kernel(self):
        wrong = []

        def work(factor):
            x, y = matrix(8, 8), np.zeros((8, 8), np.float32)
            for _ in range(100):
                self.axpby(factor, 0, x, y)
                if not (y == factor * x).all():
                    wrong.append(factor)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


class Mistakes(unittest.TestCase):
    def setUp(self):
        self.pack = kcc.load(PATH)
        self.axpby = self.pack.kernel("axpby")
        self.x, self.y = matrix(2, 3), np.zeros((2, 3), np.float32)

    def refused(self, error, words, *arguments, **options):
        before = self.y.copy()
        with self.assertRaisesRegex(error, words) as raised:
            self.axpby(*arguments, **options)
        self.assertIsInstance(raised.exception, kcc.KccError)
        np.testing.assert_array_equal(self.y, before)

    def test_arguments(self):
        x, y, bad = self.x, self.y, kcc.ArgumentError
        read_only = y.copy()
        read_only.flags.writeable = False
        self.refused(bad, r"takes 4 arguments \(a, b, x, y\), 3 were given", 1, 0, x)
        self.refused(bad, "argument x: a numpy array or an object with __dlpack__ is needed, not a list", 1, 0, [1], y)
        self.refused(bad, "argument x: kernels have no element type like float64", 1, 0, x.astype(np.float64), y)
        self.refused(bad, "argument x: kernels have no element type like >f4", 1, 0, x.astype(">f4"), y)
        self.refused(bad, "argument y: the kernel writes it, and it is read-only", 1, 0, x, read_only)
        self.refused(bad, "argument `y`: .*name an element twice", 1, 0, x, np.lib.stride_tricks.as_strided(y, strides=(0, 4)))
        self.refused(bad, "argument a: .*must be real number, not str|argument a: required argument is not a float", "1", 0, x, y)
        self.refused(bad, "shares memory with argument `x`", 1, 0, y, y)
        self.refused(kcc.LoadError, r"no variant takes \(f32, f32, f32 \[6\]", 1, 0, x.ravel(), y)
        self.refused(kcc.LoadError, r"no variant takes \(f32, f32, f32 .*i64", 1, 0, x, y.astype(np.int64))
        self.refused(bad, "a CPU has no streams", 1, 0, x, y, stream=7)
        self.refused(bad, "a stream is an integer", 1, 0, x, y, stream="7")
        self.refused(bad, "a workspace is a contiguous tensor", 1, 0, x, y, workspace=[1])
        packed = np.zeros(2, np.dtype([("a", "f4"), ("b", "u1")]))["a"].reshape(2, 1)
        self.refused(bad, r"no multiples of the element's 4", 1, 0, packed, y)
        ints = x.astype(np.int64)
        self.refused(bad, "argument a: 9223372036854775808 does not fit i64", 1 << 63, 0, ints, ints.copy())
        self.refused(bad, "argument a: ", 1.5, 0, ints, ints.copy())

    def test_files_devices_and_kernels(self):
        with open(PATH, "rb") as file:
            whole = file.read()
        for data in (b"", b"no pack", whole[: len(whole) // 2]):
            with self.assertRaises(kcc.CorruptError):
                kcc.load(data)
        with self.assertRaisesRegex(kcc.FileError, "/nowhere.kpack"):
            kcc.load("/nowhere.kpack")
        with self.assertRaisesRegex(OSError, "nowhere"):
            kcc.load("/nowhere.kpack")
        with self.assertRaisesRegex(kcc.ArgumentError, "NUL"):
            kcc.load("a\0b")
        with self.assertRaisesRegex(kcc.LoadError, "there are axpby, checked, worked"):
            self.pack.kernel("none")
        with self.assertRaisesRegex(kcc.DeviceError, "`toaster`"):
            self.pack.kernel("axpby", "toaster")

    def test_an_assertion_of_the_kernel(self):
        with self.assertRaisesRegex(kcc.StoppedError, "kernels.c:7:1: assertion failed: a row is not negative"):
            self.pack["checked"](-self.x - 1, self.y)


if __name__ == "__main__":
    unittest.main()
