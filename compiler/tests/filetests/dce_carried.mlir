// passes: dce
func.func @k(%x: !kt.view<f32, 1>, %y: !kt.view<f32, 1> {kt.mutable}, %n: i32) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %start = arith.constant dense<0.0> : tensor<8xf32>
  %same = arith.constant dense<2.0> : tensor<8xf32>
  // The second carried value only counts for itself, the third never changes, the fourth is needed by the first.
  %r:4 = scf.for %i = %zero to %n step %one iter_args(%acc = %start, %count = %zero, %c = %same, %at = %zero) -> (tensor<8xf32>, i32, tensor<8xf32>, i32) : i32 {
    %a = "kt.load"(%x, %at) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
    %m = arith.mulf %a, %c : tensor<8xf32>
    %next = arith.addf %acc, %m : tensor<8xf32>
    %up = arith.addi %count, %one : i32
    %on = arith.addi %at, %i : i32
    scf.yield %next, %up, %c, %on : tensor<8xf32>, i32, tensor<8xf32>, i32
  } {kt.stages = 2 : i64}
  %s = arith.addf %r#0, %r#2 : tensor<8xf32>
  "kt.store"(%y, %zero, %s) : (!kt.view<f32, 1>, i32, tensor<8xf32>) -> ()
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<f32, 1 : i64>, %arg1: !kt.view<f32, 1 : i64> {kt.mutable}, %arg2: i32) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %c1_i32 = arith.constant 1 : i32
    %cst = arith.constant dense<0.000000e+00> : tensor<8xf32>
    %cst_0 = arith.constant dense<2.000000e+00> : tensor<8xf32>
    %0:2 = scf.for %arg3 = %c0_i32 to %arg2 step %c1_i32 iter_args(%arg4 = %cst, %arg5 = %c0_i32) -> (tensor<8xf32>, i32)  : i32 {
      %2 = "kt.load"(%arg0, %arg5) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
      %3 = arith.mulf %2, %cst_0 : tensor<8xf32>
      %4 = arith.addf %arg4, %3 : tensor<8xf32>
      %5 = arith.addi %arg5, %arg3 : i32
      scf.yield %4, %5 : tensor<8xf32>, i32
    } {kt.stages = 2 : i64}
    %1 = arith.addf %0#0, %cst_0 : tensor<8xf32>
    "kt.store"(%arg1, %c0_i32, %1) : (!kt.view<f32, 1 : i64>, i32, tensor<8xf32>) -> ()
    return
  }
}
