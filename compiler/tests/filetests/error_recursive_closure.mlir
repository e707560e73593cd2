// passes:
func.func private @f(%a: f32, %b: f32) -> f32 {
  %t = "kt.broadcast"(%a) {axes = array<i64>} : (f32) -> tensor<4xf32>
  %0 = "kt.reduce_with"(%t) {axis = 0, captured = 0, combine = @f, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4xf32>) -> f32
  return %0 : f32
}
func.func @k(%x: f32) attributes {kt.kernel} {
  %t = "kt.broadcast"(%x) {axes = array<i64>} : (f32) -> tensor<4xf32>
  %0 = "kt.reduce_with"(%t) {axis = 0, captured = 0, combine = @f, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4xf32>) -> f32
  return
}
// ---- becomes
error: error_recursive_closure.mlir:4:8: @f calls itself, or closures nest too deep
