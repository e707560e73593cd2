// passes:
func.func @k(%v: f32) {
  return
}
// ---- becomes
error: error_no_kernel.mlir holds no kernel
help: mark one function with `attributes {kt.kernel}`
