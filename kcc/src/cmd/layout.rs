//! `kcc layout`: draws layouts and says what moving between them costs.

use super::{Failure, say};
use comfy_table::{Table, presets::NOTHING};
use kcc_compiler::layout::{
    Abilities, Banks, Blocked, Conversion, Linear, Picture, Shared, Traffic, convert::Staging,
    plan_conversion,
};
use kcc_compiler::link::write_atomically;
use kcc_dsl::ir::Elem;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    form: Form,
    /// Element type, as in f32, bf16, i8
    #[arg(long, global = true, default_value = "f32")]
    elem: String,
    /// Draw into this file
    #[arg(long, global = true, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Form {
    /// A layout in its text form: 'reg=[0,1;1,0] lane=[0,2;0,4] shape=2x8'
    Of {
        /// The text
        layout: String,
    },
    /// Blocks of elements per lane, blocks of lanes, blocks of warps
    Blocked {
        /// Extents of the tile, as in 16x32
        #[arg(long)]
        shape: String,
        /// Elements per lane; else 16 bytes of the fastest axis
        #[arg(long)]
        per_thread: Option<String>,
        /// Lanes per axis; else 32 lanes, along the fastest axis first
        #[arg(long)]
        threads: Option<String>,
        /// Warps per axis
        #[arg(long)]
        warps: Option<String>,
        /// Axes, the fastest first, as in 1,0; else from the last to the first
        #[arg(long, value_delimiter = ',')]
        order: Option<Vec<usize>>,
    },
    /// A buffer in shared memory with the row swizzle of bulk copies and matrix units
    Swizzle {
        /// Extents of the tile, as in 8x64
        #[arg(long)]
        shape: String,
        /// Bytes of a row: 16 (no swizzle), 32, 64 or 128
        #[arg(long, default_value_t = 128)]
        row: u32,
        /// A layout that stores to it or loads from it, in text form; its bank conflicts are counted
        #[arg(long)]
        by: Option<String>,
    },
    /// How a tile gets from one layout to another
    Convert {
        /// Text form of the layout that the tile is in
        from: String,
        /// Text form of the layout that it should be in
        to: String,
    },
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let bytes = element_bytes(&args.elem)?;
    let banks = Banks::neighbours(32, 4, 32);
    match &args.form {
        Form::Of { layout } => show_layout(&parse(layout)?, args, json),
        Form::Blocked { shape, per_thread, threads, warps, order } => {
            let extents = shape_of(shape)?;
            let order = order.clone().unwrap_or_else(|| (0..extents.len()).rev().collect());
            if let Some(axis) = order.iter().find(|&&axis| axis >= extents.len()) {
                return Err(Failure::input(format!("the tile {shape} has no axis {axis}")));
            }
            let given = |text: &Option<String>| text.as_deref().map(shape_of).transpose();
            let per_thread = given(per_thread)?.unwrap_or_else(|| filled(&extents, &order[..1], 16 / bytes));
            let cells: Vec<u32> = extents.iter().zip(&per_thread).map(|(e, p)| e.div_ceil(*p)).collect();
            let threads = given(threads)?.unwrap_or_else(|| {
                let mut counts = filled(&cells, &order, 32);
                // Lanes that the tile does not need hold copies.
                counts[order[order.len() - 1]] *= 32 / counts.iter().product::<u32>();
                counts
            });
            let warps = given(warps)?.unwrap_or_else(|| vec![1; extents.len()]);
            let nest = Blocked {
                size_per_thread: &per_thread,
                threads_per_warp: &threads,
                warps: &warps,
                order: &order,
            };
            let layout = Linear::blocked(&extents, nest).map_err(|e| Failure::input(e.to_string()))?;
            show_layout(&layout, args, json)
        }
        Form::Swizzle { shape, row, by } => {
            let extents = shape_of(shape)?;
            let order: Vec<usize> = (0..extents.len()).rev().collect();
            let shared =
                Shared::panels(&extents, &order, bytes, *row).map_err(|e| Failure::input(e.to_string()))?;
            let traffic = by.as_deref().map(|by| {
                let access = shared.access(&parse(by)?, banks.widest());
                let access = access.map_err(|e| Failure::input(e.to_string()))?;
                Ok::<_, Failure>((access.vector(), banks.count(&shared, &access)))
            });
            let traffic = traffic.transpose()?;
            let picture = Picture::of_shared(&shared, banks.count, banks.bytes);
            draw(picture, &shared.layout().to_string(), args, json, |table| {
                if let Some((vector, traffic)) = traffic {
                    table.extend(rows_of("access", vector, traffic));
                }
            })
        }
        Form::Convert { from, to } => {
            let abilities = Abilities {
                shuffle_bytes: 4,
                most_shuffles: 64,
                shared_bytes: 96 << 10,
                banks: banks.clone(),
            };
            let plan = plan_conversion(&parse(from)?, &parse(to)?, bytes, &abilities);
            let plan = plan.map_err(|e| Failure::input(e.to_string()))?;
            print(&described(&plan, &banks), json);
            Ok(())
        }
    }
}

type Facts = Vec<(String, String)>;

fn fact(name: impl Into<String>, value: impl ToString) -> (String, String) {
    (name.into(), value.to_string())
}

fn described(plan: &Conversion, banks: &Banks) -> Facts {
    match plan {
        Conversion::Nothing => vec![fact("by", "nothing: the registers are the same")],
        Conversion::Registers { source_of } => {
            vec![fact("by", "registers"), fact("sources", format!("{source_of:?}"))]
        }
        Conversion::Shuffles { exchange, .. } if exchange.crosses_lanes() => vec![
            fact("by", if exchange.keeps_lanes() { "shuffles, butterflies" } else { "shuffles" }),
            fact("rounds", exchange.rounds.len()),
            fact("elements per round", exchange.send_within.len()),
        ],
        Conversion::Shuffles { .. } => vec![fact("by", "selects among the lane's own registers")],
        Conversion::Shared { staging, .. } => {
            let mut facts = vec![
                fact("by", "shared memory"),
                fact("bytes", staging.bytes()),
                fact("barriers", staging.barriers()),
                fact("barriers of", if staging.within_warps { "each warp" } else { "all warps" }),
            ];
            for (name, vector, traffic) in staging_traffic(staging, banks) {
                facts.extend(rows_of(name, vector, traffic));
            }
            facts
        }
    }
}

fn staging_traffic<'a>(
    staging: &'a Staging,
    banks: &'a Banks,
) -> impl Iterator<Item = (&'static str, u32, Traffic)> + 'a {
    [("store", &staging.store), ("load", &staging.load)]
        .into_iter()
        .map(move |(name, access)| (name, access.vector(), banks.count_linear(staging.element_bytes, access)))
}

fn rows_of(name: &str, vector: u32, traffic: Traffic) -> Facts {
    vec![
        fact(format!("{name}, elements per lane"), vector),
        fact(format!("{name}, instructions of all warps"), traffic.accesses),
        fact(format!("{name}, cycles"), traffic.cycles),
        fact(format!("{name}, cycles lost to bank conflicts"), traffic.conflicts()),
    ]
}

fn show_layout(layout: &Linear, args: &Args, json: bool) -> Result<(), Failure> {
    draw(Picture::of_layout(layout), &layout.to_string(), args, json, |facts| {
        facts.push(fact("registers", layout.registers()));
        facts.push(fact("lanes", layout.lanes()));
        facts.push(fact("warps", layout.warps()));
        let contiguous: Vec<u32> = (0..layout.rank()).map(|axis| layout.contiguous(axis)).collect();
        facts.push(fact("contiguous per axis", format!("{contiguous:?}")));
    })
}

fn draw(
    picture: Result<Picture, kcc_compiler::layout::LayoutError>,
    text: &str,
    args: &Args,
    json: bool,
    more: impl FnOnce(&mut Facts),
) -> Result<(), Failure> {
    let picture = picture.map_err(|e| Failure::input(e.to_string()))?;
    let mut facts = vec![fact("layout", text)];
    more(&mut facts);
    match &args.svg {
        Some(path) => {
            write_atomically(path, picture.svg().as_bytes())?;
            facts.push(fact("drawn into", path.display()));
        }
        None if !json => say(picture.text()),
        None => {}
    }
    print(&facts, json);
    Ok(())
}

fn print(facts: &Facts, json: bool) {
    if json {
        let map: serde_json::Map<_, _> = facts.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        say(serde_json::Value::from(map));
        return;
    }
    let mut table = Table::new();
    table.load_preset(NOTHING);
    facts.iter().for_each(|(name, value)| {
        table.add_row([name, value]);
    });
    say(table);
}

fn parse(text: &str) -> Result<Linear, Failure> {
    text.parse().map_err(|e: kcc_compiler::layout::LayoutError| {
        Failure::with_help(e.to_string(), "as in 'reg=[0,1;1,0] lane=[0,2;0,4] warp=[2,0] shape=4x8'")
    })
}

fn shape_of(text: &str) -> Result<Vec<u32>, Failure> {
    let numbers: Result<Vec<u32>, _> = text.split('x').map(str::parse).collect();
    match numbers {
        Ok(numbers) if numbers.len() <= 3 && !numbers.contains(&0) => Ok(numbers),
        _ => Err(Failure::with_help(format!("`{text}` is no shape"), "one to three numbers, as in 16x32")),
    }
}

/// `count` as a product over the axes in the order given, at most the extents (rounded up).
fn filled(extents: &[u32], order: &[usize], count: u32) -> Vec<u32> {
    let mut counts = vec![1; extents.len()];
    let mut left = count.max(1);
    for &axis in order {
        counts[axis] = left.min(extents[axis].next_power_of_two());
        left /= counts[axis];
    }
    counts
}

fn element_bytes(name: &str) -> Result<u32, Failure> {
    let known = || Elem::ALL.map(Elem::name).join(", ");
    Elem::parse(name).map(|elem| elem.bytes() as u32).ok_or_else(|| {
        Failure::with_help(format!("`{name}` is no element type"), format!("one of {}", known()))
    })
}
