// passes: canonicalize, dce
func.func @k(%y: !kt.view<f32, 1> {kt.mutable}, %v: f32) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %never = arith.cmpi slt, %one, %zero : i32
  %r = scf.if %never -> (f32) {
    %u = arith.addf %v, %v : f32
    scf.yield %u : f32
  } else {
    %m = arith.mulf %v, %v : f32
    scf.yield %m : f32
  }
  %l = scf.for %i = %one to %zero step %one iter_args(%acc = %r) -> (f32) : i32 {
    %next = arith.addf %acc, %acc : f32
    scf.yield %next : f32
  }
  %t = "kt.broadcast"(%l) {axes = array<i64>} : (f32) -> tensor<8xf32>
  "kt.store"(%y, %zero, %t) : (!kt.view<f32, 1>, i32, tensor<8xf32>) -> ()
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<f32, 1 : i64> {kt.mutable}, %arg1: f32) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %0 = arith.mulf %arg1, %arg1 : f32
    %1 = "kt.broadcast"(%0) {axes = array<i64>} : (f32) -> tensor<8xf32>
    "kt.store"(%arg0, %c0_i32, %1) : (!kt.view<f32, 1 : i64>, i32, tensor<8xf32>) -> ()
    return
  }
}
