// passes: canonicalize, dce
func.func @k(%x: !kt.view<f32, 1>, %y: !kt.view<f32, 1> {kt.mutable}) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %a = "kt.load"(%x, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
  %one = arith.constant dense<1.0> : tensor<8xf32>
  %plus0 = arith.constant dense<0.0> : tensor<8xf32>
  %minus0 = arith.constant dense<-0.0> : tensor<8xf32>
  %b = arith.mulf %a, %one : tensor<8xf32>
  // -0.0 + x is x; 0.0 + x is not, for x = -0.0.
  %c = arith.addf %b, %minus0 : tensor<8xf32>
  %d = arith.addf %c, %plus0 : tensor<8xf32>
  %n = arith.negf %d : tensor<8xf32>
  %nn = arith.negf %n : tensor<8xf32>
  "kt.store"(%y, %zero, %nn) : (!kt.view<f32, 1>, i32, tensor<8xf32>) -> ()
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<f32, 1 : i64>, %arg1: !kt.view<f32, 1 : i64> {kt.mutable}) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %0 = "kt.load"(%arg0, %c0_i32) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
    %cst = arith.constant dense<0.000000e+00> : tensor<8xf32>
    %1 = arith.addf %0, %cst : tensor<8xf32>
    "kt.store"(%arg1, %c0_i32, %1) : (!kt.view<f32, 1 : i64>, i32, tensor<8xf32>) -> ()
    return
  }
}
