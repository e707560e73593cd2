//! The processors that the backend knows, one per row.

use crate::isa::Isa;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Name after `cpu:`.
    pub name: &'static str,
    /// LLVM's name of the processor.
    pub cpu: &'static str,
    /// LLVM features beside those that the processor implies.
    pub features: &'static str,
    /// What the lowering may use.
    pub isa: Isa,
    /// For `kcc targets`.
    pub summary: &'static str,
}

const V3: Isa = Isa { lanes: 8, avx512: false, bf16: false, vnni: false, amx: false };
const V4: Isa = Isa { lanes: 16, avx512: true, bf16: false, vnni: false, amx: false };
const V4_BF16: Isa = Isa { bf16: true, ..V4 };

/// 512-bit vectors are what the lowering asks for; LLVM must not split them.
const WIDE: &str = "-prefer-256-bit";
const WIDE_BF16: &str = "-prefer-256-bit,+avx512bf16";
const WIDE_AMX: &str = "-prefer-256-bit,+avx512bf16,+amx-tile,+amx-bf16";

/// Rows. x86-64 levels are those of the psABI; features of Zen 4 are those of AMD's optimisation guide 57647.
pub const CHIPS: &[Chip] = &[
    Chip { name: "x86-64-v3", cpu: "x86-64-v3", features: "", isa: V3, summary: "AVX2, FMA, F16C" },
    Chip {
        name: "x86-64-v4",
        cpu: "x86-64-v4",
        features: WIDE,
        isa: V4,
        summary: "AVX-512 F, BW, CD, DQ, VL",
    },
    Chip {
        name: "x86-64-v4+avx512bf16",
        cpu: "x86-64-v4",
        features: WIDE_BF16,
        isa: V4_BF16,
        summary: "AVX-512 with vdpbf16ps",
    },
    Chip {
        name: "x86-64-v4+amxbf16",
        cpu: "x86-64-v4",
        features: WIDE_AMX,
        isa: Isa { amx: true, ..V4_BF16 },
        summary: "AVX-512 and AMX, both with bf16 products",
    },
    Chip {
        name: "znver4",
        cpu: "znver4",
        features: WIDE,
        isa: Isa { vnni: true, ..V4_BF16 },
        summary: "AMD Zen 4: AVX-512 with BF16 and VNNI",
    },
    Chip {
        name: "sapphirerapids",
        cpu: "sapphirerapids",
        features: WIDE,
        isa: Isa { vnni: true, ..V4_BF16 },
        summary: "Intel Sapphire Rapids: AVX-512 with BF16 and VNNI",
    },
];

/// The row that this machine can run, best first; `None` below x86-64-v3.
pub fn native() -> Option<&'static Chip> {
    #[cfg(target_arch = "x86_64")]
    {
        let has512 = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512cd")
            && std::arch::is_x86_feature_detected!("avx512dq")
            && std::arch::is_x86_feature_detected!("avx512vl");
        if has512 && std::arch::is_x86_feature_detected!("avx512bf16") {
            let amx = kcc_dsl::exchange::host::amx_bf16();
            return find(if amx { "x86-64-v4+amxbf16" } else { "x86-64-v4+avx512bf16" });
        }
        if has512 {
            return find("x86-64-v4");
        }
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("f16c")
        {
            return find("x86-64-v3");
        }
    }
    None
}

/// The row of that name (without `cpu:`); `native` asks the processor.
pub fn find(name: &str) -> Option<&'static Chip> {
    if name == "native" {
        return native();
    }
    CHIPS.iter().find(|c| c.name == name)
}
