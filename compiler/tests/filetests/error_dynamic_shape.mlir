// passes:
func.func @k(%x: !kt.view<f32, 1>) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %a = "kt.load"(%x, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<?xf32>
  return
}
// ---- becomes
error: error_dynamic_shape.mlir:4:8: `tensor<?xf32>` is no tile: static extents and a known element type
help: write a tile as `tensor<64x32xf32>`, a view as `!kt.view<f32, 2>`
