// passes:
func.func @k(%x: !kt.view<f32, 2>, %y: !kt.view<f32, 2> {kt.mutable}) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %a = "kt.load"(%x, %zero, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 2>, i32, i32) -> tensor<4x8xf32>
  %acc = arith.constant dense<0.0> : tensor<4x4xf32>
  %d = "kt.dot"(%a, %a, %acc) {precision = "full"} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  "kt.store"(%y, %zero, %zero, %d) : (!kt.view<f32, 2>, i32, i32, tensor<4x4xf32>) -> ()
  return
}
// ---- becomes
error: error_wrong_shape.mlir:6:8: `dot`: f32[4, 8] times f32[4, 8] does not give f32[4, 4]
