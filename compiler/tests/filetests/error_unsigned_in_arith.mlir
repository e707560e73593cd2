// passes:
func.func @k(%v: i32) attributes {kt.kernel} {
  %a = arith.divsi %v, %v : i32
  return
}
// ---- becomes
error: error_unsigned_in_arith.mlir:3:8: `arith.divsi` in a kt module is not supported
help: use kt, and the arith, math and scf that import writes
