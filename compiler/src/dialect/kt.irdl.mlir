// The kt dialect: operations on tiles and views that upstream MLIR lacks.
//
// A tile is a ranked tensor with a static shape, or a plain scalar; a view is !kt.view<elem, rank>. Unsigned
// and signed integers are told apart by type: ui8 and ui32 against signless i8, i16, i32 and i64. Element-wise
// operations whose meaning upstream's arith and math state exactly are not here; see elementwise.rs.
// IRDL checks operand counts, views and the presence of attributes; verify.rs checks everything else.
irdl.dialect @kt {
  irdl.type @view {
    %elem = irdl.any
    %rank = irdl.any
    irdl.parameters(elem: %elem, rank: %rank)
  }

  // ---- program
  irdl.operation @program_id {
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.results(result: %r0)
    irdl.attributes {"axis" = %a0}
  }
  irdl.operation @num_programs {
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.results(result: %r0)
    irdl.attributes {"axis" = %a0}
  }

  // ---- make
  // Unsigned constants; arith.constant holds the others.
  irdl.operation @constant {
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.results(result: %r0)
    irdl.attributes {"value" = %a0}
  }
  irdl.operation @arange {
    %r0 = irdl.any
    irdl.results(result: %r0)
  }

  // ---- element-wise, where arith and math mean something else or refuse the type
  irdl.operation @neg {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @not {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @abs {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @exp {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @exp2 {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @log {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @log2 {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @sin {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @cos {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @tanh {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @erf {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @sqrt {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @rsqrt {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @floor {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @ceil {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @round {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @add {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @sub {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @mul {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @div {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @rem {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @and {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @or {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @xor {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @shl {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @shr {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @min {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @max {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @min_nan {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @max_nan {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @mul_hi {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @compare {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(left: %o0, right: %o1)
    irdl.results(result: %r0)
    irdl.attributes {"op" = %a0}
  }
  irdl.operation @fma {
    %o0 = irdl.any
    %o1 = irdl.any
    %o2 = irdl.any
    %r0 = irdl.any
    irdl.operands(a: %o0, b: %o1, c: %o2)
    irdl.results(result: %r0)
  }
  irdl.operation @cast {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @bitcast {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(value: %o0)
    irdl.results(result: %r0)
  }

  // ---- shape
  irdl.operation @broadcast {
    %o0 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"axes" = %a0}
  }
  irdl.operation @reshape {
    %o0 = irdl.any
    %r0 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
  }
  irdl.operation @transpose {
    %o0 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"perm" = %a0}
  }
  irdl.operation @join {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    irdl.operands(first: %o0, second: %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @split {
    %o0 = irdl.any
    %r0 = irdl.any
    %r1 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(first: %r0, second: %r1)
  }
  irdl.operation @slice {
    %o0 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"offsets" = %a0}
  }
  irdl.operation @concat {
    %o0 = irdl.any
    %o1 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(first: %o0, second: %o1)
    irdl.results(result: %r0)
    irdl.attributes {"axis" = %a0}
  }

  // ---- memory; loads and stores may carry cache = "stream" or "keep"
  irdl.operation @dim {
    %o0 = irdl.base @kt::@view
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(view: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"axis" = %a0}
  }
  irdl.operation @at {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %r0 = irdl.base @kt::@view
    irdl.operands(view: %o0, index: variadic %o1)
    irdl.results(result: %r0)
  }
  irdl.operation @load {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(view: %o0, offset: variadic %o1)
    irdl.results(result: %r0)
    irdl.attributes {"padding" = %a0}
  }
  irdl.operation @store {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %o2 = irdl.any
    irdl.operands(view: %o0, offset: variadic %o1, tile: %o2)
  }
  irdl.operation @load_rows {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %o2 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(view: %o0, rows: %o1, col: %o2)
    irdl.results(result: %r0)
    irdl.attributes {"padding" = %a0}
  }
  irdl.operation @store_rows {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    irdl.operands(view: %o0, rows: %o1, col: %o2, tile: %o3)
  }
  irdl.operation @gather {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    %r0 = irdl.any
    irdl.operands(view: %o0, index: variadic %o1, mask: %o2, other: %o3)
    irdl.results(result: %r0)
  }
  irdl.operation @scatter {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    irdl.operands(view: %o0, index: variadic %o1, mask: %o2, value: %o3)
  }
  irdl.operation @atomic {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    %a2 = irdl.any
    irdl.operands(view: %o0, index: variadic %o1, mask: %o2, value: %o3)
    irdl.results(result: %r0)
    irdl.attributes {"op" = %a0, "ordering" = %a1, "scope" = %a2}
  }
  irdl.operation @atomic_cas {
    %o0 = irdl.base @kt::@view
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    %o4 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    irdl.operands(view: %o0, index: variadic %o1, mask: %o2, expected: %o3, new: %o4)
    irdl.results(result: %r0)
    irdl.attributes {"ordering" = %a0, "scope" = %a1}
  }

    // ---- reduce, scan, sort; combine names a function of the module. IRDL wants the parts of a variadic
  // list to be of
  // one type, hence slots for values of different types; as many segment sizes say which are filled.
  irdl.operation @reduce {
    %o0 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"axis" = %a0, "op" = %a1}
  }
  irdl.operation @arg_reduce {
    %o0 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"axis" = %a0, "max" = %a1}
  }
  irdl.operation @reduce_with {
    %o0 = irdl.any
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    %o4 = irdl.any
    %o5 = irdl.any
    %o6 = irdl.any
    %o7 = irdl.any
    %o8 = irdl.any
    %o9 = irdl.any
    %o10 = irdl.any
    %o11 = irdl.any
    %o12 = irdl.any
    %o13 = irdl.any
    %o14 = irdl.any
    %o15 = irdl.any
    %o16 = irdl.any
    %o17 = irdl.any
    %o18 = irdl.any
    %o19 = irdl.any
    %o20 = irdl.any
    %o21 = irdl.any
    %o22 = irdl.any
    %o23 = irdl.any
    %r0 = irdl.any
    %r1 = irdl.any
    %r2 = irdl.any
    %r3 = irdl.any
    %r4 = irdl.any
    %r5 = irdl.any
    %r6 = irdl.any
    %r7 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    %a2 = irdl.any
        irdl.operands(value0: optional %o0, value1: optional %o1, value2: optional %o2, value3: optional
        %o3, value4: optional %o4, value5: optional %o5, value6: optional %o6, value7: optional %o7, value8:
        optional %o8, value9: optional %o9, value10: optional %o10, value11: optional %o11, value12:
        optional %o12, value13: optional %o13, value14: optional %o14, value15: optional %o15, value16:
        optional %o16, value17: optional %o17, value18: optional %o18, value19: optional %o19, value20:
        optional %o20, value21: optional %o21, value22: optional %o22, value23: optional %o23)
        irdl.results(result0: optional %r0, result1: optional %r1, result2: optional %r2, result3: optional
        %r3, result4: optional %r4, result5: optional %r5, result6: optional %r6, result7: optional %r7)
    irdl.attributes {"axis" = %a0, "combine" = %a1, "captured" = %a2}
  }
  irdl.operation @scan {
    %o0 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    %a2 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"axis" = %a0, "op" = %a1, "reverse" = %a2}
  }
  irdl.operation @scan_with {
    %o0 = irdl.any
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    %o4 = irdl.any
    %o5 = irdl.any
    %o6 = irdl.any
    %o7 = irdl.any
    %o8 = irdl.any
    %o9 = irdl.any
    %o10 = irdl.any
    %o11 = irdl.any
    %o12 = irdl.any
    %o13 = irdl.any
    %o14 = irdl.any
    %o15 = irdl.any
    %o16 = irdl.any
    %o17 = irdl.any
    %o18 = irdl.any
    %o19 = irdl.any
    %o20 = irdl.any
    %o21 = irdl.any
    %o22 = irdl.any
    %o23 = irdl.any
    %r0 = irdl.any
    %r1 = irdl.any
    %r2 = irdl.any
    %r3 = irdl.any
    %r4 = irdl.any
    %r5 = irdl.any
    %r6 = irdl.any
    %r7 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    %a2 = irdl.any
    %a3 = irdl.any
        irdl.operands(value0: optional %o0, value1: optional %o1, value2: optional %o2, value3: optional
        %o3, value4: optional %o4, value5: optional %o5, value6: optional %o6, value7: optional %o7, value8:
        optional %o8, value9: optional %o9, value10: optional %o10, value11: optional %o11, value12:
        optional %o12, value13: optional %o13, value14: optional %o14, value15: optional %o15, value16:
        optional %o16, value17: optional %o17, value18: optional %o18, value19: optional %o19, value20:
        optional %o20, value21: optional %o21, value22: optional %o22, value23: optional %o23)
        irdl.results(result0: optional %r0, result1: optional %r1, result2: optional %r2, result3: optional
        %r3, result4: optional %r4, result5: optional %r5, result6: optional %r6, result7: optional %r7)
    irdl.attributes {"axis" = %a0, "combine" = %a1, "captured" = %a2, "reverse" = %a3}
  }
  irdl.operation @sort {
    %o0 = irdl.any
    %r0 = irdl.any
    %r1 = irdl.any
    %a0 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(sorted: %r0, index: %r1)
    irdl.attributes {"descending" = %a0}
  }
  irdl.operation @top_k {
    %o0 = irdl.any
    %r0 = irdl.any
    %r1 = irdl.any
    %a0 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(largest: %r0, index: %r1)
    irdl.attributes {"k" = %a0}
  }
  irdl.operation @histogram {
    %o0 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(tile: %o0)
    irdl.results(result: %r0)
    irdl.attributes {"bins" = %a0}
  }

  // ---- dot
  irdl.operation @dot {
    %o0 = irdl.any
    %o1 = irdl.any
    %o2 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    irdl.operands(a: %o0, b: %o1, acc: %o2)
    irdl.results(result: %r0)
    irdl.attributes {"precision" = %a0}
  }
  irdl.operation @dot_scaled {
    %o0 = irdl.any
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    %o4 = irdl.any
    %r0 = irdl.any
    %a0 = irdl.any
    %a1 = irdl.any
    irdl.operands(a: %o0, a_scale: %o1, b: %o2, b_scale: %o3, acc: %o4)
    irdl.results(result: %r0)
    irdl.attributes {"a_format" = %a0, "b_format" = %a1}
  }

  // ---- debug, hints
  irdl.operation @assume {
    %o0 = irdl.any
    irdl.operands(condition: %o0)
  }
  irdl.operation @assert {
    %o0 = irdl.any
    %a0 = irdl.any
    irdl.operands(condition: %o0)
    irdl.attributes {"message" = %a0}
  }
  irdl.operation @print {
    %o0 = irdl.any
    %o1 = irdl.any
    %o2 = irdl.any
    %o3 = irdl.any
    %o4 = irdl.any
    %o5 = irdl.any
    %o6 = irdl.any
    %o7 = irdl.any
    %o8 = irdl.any
    %o9 = irdl.any
    %o10 = irdl.any
    %o11 = irdl.any
    %o12 = irdl.any
    %o13 = irdl.any
    %o14 = irdl.any
    %o15 = irdl.any
    %a0 = irdl.any
        irdl.operands(value0: optional %o0, value1: optional %o1, value2: optional %o2, value3: optional
        %o3, value4: optional %o4, value5: optional %o5, value6: optional %o6, value7: optional %o7, value8:
        optional %o8, value9: optional %o9, value10: optional %o10, value11: optional %o11, value12:
        optional %o12, value13: optional %o13, value14: optional %o14, value15: optional %o15)
    irdl.attributes {"format" = %a0}
  }
}
