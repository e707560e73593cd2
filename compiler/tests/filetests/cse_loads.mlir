// passes: cse, dce
func.func @k(%x: !kt.view<f32, 1>, %y: !kt.view<f32, 1> {kt.mutable}, %c: i1) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  // Two loads of a view that nothing writes are one; of a view that is written, two.
  %a = "kt.load"(%x, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
  %b = "kt.load"(%x, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
  // Another padding is another load.
  %o = "kt.load"(%x, %zero) {padding = 1.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
  %p = "kt.load"(%y, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
  "kt.store"(%y, %zero, %a) : (!kt.view<f32, 1>, i32, tensor<8xf32>) -> ()
  %q = "kt.load"(%y, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
  %s = arith.addf %a, %b : tensor<8xf32>
  %t = arith.addf %p, %q : tensor<8xf32>
  // What a branch computes is not there after it.
  %r = scf.if %c -> (tensor<8xf32>) {
    %u = arith.addf %s, %t : tensor<8xf32>
    scf.yield %u : tensor<8xf32>
  } else {
    %m = arith.addf %s, %o : tensor<8xf32>
    scf.yield %m : tensor<8xf32>
  }
  %v = arith.addf %s, %t : tensor<8xf32>
  %w = arith.addf %r, %v : tensor<8xf32>
  "kt.store"(%y, %zero, %w) : (!kt.view<f32, 1>, i32, tensor<8xf32>) -> ()
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<f32, 1 : i64>, %arg1: !kt.view<f32, 1 : i64> {kt.mutable}, %arg2: i1) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %0 = "kt.load"(%arg0, %c0_i32) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
    %1 = "kt.load"(%arg0, %c0_i32) {padding = 1.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
    %2 = "kt.load"(%arg1, %c0_i32) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
    "kt.store"(%arg1, %c0_i32, %0) : (!kt.view<f32, 1 : i64>, i32, tensor<8xf32>) -> ()
    %3 = "kt.load"(%arg1, %c0_i32) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
    %4 = arith.addf %0, %0 : tensor<8xf32>
    %5 = arith.addf %2, %3 : tensor<8xf32>
    %6 = scf.if %arg2 -> (tensor<8xf32>) {
      %9 = arith.addf %4, %5 : tensor<8xf32>
      scf.yield %9 : tensor<8xf32>
    } else {
      %9 = arith.addf %4, %1 : tensor<8xf32>
      scf.yield %9 : tensor<8xf32>
    }
    %7 = arith.addf %4, %5 : tensor<8xf32>
    %8 = arith.addf %6, %7 : tensor<8xf32>
    "kt.store"(%arg1, %c0_i32, %8) : (!kt.view<f32, 1 : i64>, i32, tensor<8xf32>) -> ()
    return
  }
}
