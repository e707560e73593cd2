// passes:
func.func @k(%x: !kt.view<f32, 1>) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %a = "kt.load"(%x, %zero) {padding = 0.0 : f32, cached = "keep"} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
  return
}
// ---- becomes
error: error_unknown_attribute.mlir:4:8: unknown attribute `cached` of `kt.load`
help: remove it
