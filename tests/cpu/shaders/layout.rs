//! Both sides of every binding: naga's view of a kernel against the description on the Rust side.

use std::mem::{offset_of, size_of};

use mtcmcn::for_each_kernel;
use mtcmcn::kernels::image::Band;
use mtcmcn::kernels::nn::{Affine, Level};
use mtcmcn::kernels::select::{Candidate, CellBand, Counter, Row};
use mtcmcn::kernels::train::Figure;
use mtcmcn::kernels::{Sample, Samples};
use mtcmcn::record::{Access, Binding, Element};
use naga::{AddressSpace, GlobalVariable, Module, ScalarKind, StorageAccess, TypeInner};

use super::{source, validate};

/// A struct in a storage binding.
struct Known {
    name: &'static str,
    /// Kernels to which the entry applies; empty for all.
    kernels: &'static [&'static str],
    size: usize,
    /// Public fields with their offsets; other fields are called `unused` on both sides.
    fields: Vec<(&'static str, usize)>,
}

macro_rules! known {
    ($kind:ident as $name:literal in $kernels:expr, $($field:ident),+) => {
        Known { name: $name, kernels: &$kernels, size: size_of::<$kind>(), fields: vec![$((stringify!($field), offset_of!($kind, $field))),+] }
    };
}

fn known() -> Vec<Known> {
    vec![
        known!(Candidate as "Candidate" in [], corners, offsets, score, tag),
        known!(Counter as "Counter" in [], held, wanted, fault),
        known!(Figure as "Figure" in [], figure, counted),
        known!(Affine as "Affine" in [], mean, inverse, scale, shift, slope),
        known!(Level as "Level" in [], tile, columns, x, x_h, x_w, y, y_h, y_w),
        known!(Band as "Band" in ["resample_rows", "resample_columns"], row, rows, first, level_h, level_w, x),
        known!(CellBand as "Band" in ["decode"], tile, across, cell, width, row, tag, columns, rows),
        known!(Row as "Row" in ["arguments", "settle"], first, most),
    ]
}

/// Largest number of invocations that a kernel may use on any device (`wgpu::Limits::default()`).
const MOST_INVOCATIONS: u32 = 256;
const MOST_WORKGROUP_BYTES: u32 = 16 << 10;
const MOST_STORAGE_BUFFERS: usize = 8;
const MOST_UNIFORM_BYTES: u32 = 64 << 10;

/// Returns the disagreements between `source` and the Rust side of `K`.
fn faults<K: Samples>(source: &str) -> Vec<String> {
    let (module, _) = match validate(source) {
        Ok(valid) => valid,
        Err(error) => return vec![error],
    };
    let mut found = Vec::new();
    entry_point::<K>(&module, &mut found);
    let mut bound: Vec<&GlobalVariable> =
        module.global_variables.iter().map(|(_, global)| global).filter(|g| g.binding.is_some()).collect();
    bound.sort_by_key(|global| global.binding.map(|at| (at.group, at.binding)));
    let places: Vec<_> = bound.iter().filter_map(|global| global.binding).map(|at| (at.group, at.binding)).collect();
    let want: Vec<_> = (0..=K::BINDINGS.len() as u32).map(|binding| (0, binding)).collect();
    if places != want {
        found.push(format!("bindings (group, number) are {places:?}, want {want:?}"));
        return found;
    }
    uniform::<K>(&module, bound[0], &mut found);
    for (global, binding) in bound[1..].iter().zip(K::BINDINGS) {
        storage(&module, global, *binding, &mut found);
        structs::<K>(&module, global, &mut found);
    }
    if !K::BINDINGS.is_sorted_by_key(|binding| binding.access != Access::Read) {
        found.push("BINDINGS must list reads first".to_owned());
    }
    if source.contains("num_workgroups") {
        found.push("num_workgroups is zero in indirect dispatches of D3D12".to_owned());
    }
    found
}

fn entry_point<K: Samples>(module: &Module, found: &mut Vec<String>) {
    let names: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    if names != ["main"] {
        found.push(format!("entry points {names:?}, want main alone"));
        return;
    }
    let size = module.entry_points[0].workgroup_size;
    if size != K::WORKGROUP {
        found.push(format!("workgroup_size is {size:?}, WORKGROUP is {:?}", K::WORKGROUP));
    }
    if size.iter().product::<u32>() > MOST_INVOCATIONS {
        found.push(format!("{size:?} are more than {MOST_INVOCATIONS} invocations"));
    }
    if K::WORKGROUP[1..] != [1, 1] {
        found.push("workgroups must be flat: engines divide along x only".to_owned());
    }
    let shared = module.global_variables.iter().filter(|(_, global)| global.space == AddressSpace::WorkGroup);
    let bytes: u32 = shared.map(|(_, global)| module.types[global.ty].inner.size(module.to_ctx()).next_multiple_of(16)).sum();
    if bytes > MOST_WORKGROUP_BYTES {
        found.push(format!("{bytes} bytes of workgroup memory, {MOST_WORKGROUP_BYTES} are sure"));
    }
    let buffers = K::BINDINGS.iter().filter(|binding| !binding.uniform).count();
    if buffers > MOST_STORAGE_BUFFERS {
        found.push(format!("{buffers} storage buffers, {MOST_STORAGE_BUFFERS} are sure"));
    }
}

fn uniform<K: Samples>(module: &Module, global: &GlobalVariable, found: &mut Vec<String>) {
    let TypeInner::Struct { members, span } = &module.types[global.ty].inner else {
        found.push("binding 0 is not a struct".to_owned());
        return;
    };
    if global.space != AddressSpace::Uniform {
        found.push("binding 0 is not a uniform".to_owned());
    }
    let fields: Vec<(&str, usize)> = members.iter().map(|m| (m.name.as_deref().unwrap_or_default(), m.offset as usize)).collect();
    if fields != K::FIELDS {
        found.push(format!("fields of the uniform are {fields:?}, of the struct {:?}", K::FIELDS));
    }
    if *span as usize != size_of::<K>() {
        found.push(format!("the uniform has {span} bytes, the struct {}", size_of::<K>()));
    }
    let Some(Sample { kernel, .. }) = K::samples().into_iter().next() else { return };
    // `Debug` prints a float with a point or an exponent and an integer without, which reveals the types of
    // private fields.
    let text = format!("{kernel:?}");
    for member in members {
        let name = member.name.as_deref().unwrap_or_default();
        let value = text.split(&format!(" {name}: ")).nth(1).and_then(|rest| rest.split([',', ' ']).next()).unwrap_or_default();
        let want = if value.contains(['.', 'e', 'N', 'i']) { ScalarKind::Float } else { ScalarKind::Uint };
        if module.types[member.ty].inner.scalar_kind() != Some(want) {
            found.push(format!("field {name} of the uniform should be {want:?}, as {value}"));
        }
    }
}

fn storage(module: &Module, global: &GlobalVariable, binding: Binding, found: &mut Vec<String>) {
    let name = global.name.as_deref().unwrap_or_default();
    let access = if binding.access == Access::Read { StorageAccess::LOAD } else { StorageAccess::LOAD | StorageAccess::STORE };
    let want = if binding.uniform { AddressSpace::Uniform } else { AddressSpace::Storage { access } };
    if global.space != want {
        found.push(format!("{name} is {:?} in WGSL, {binding:?} in BINDINGS", global.space));
    }
    let bytes = module.types[global.ty].inner.size(module.to_ctx());
    if binding.uniform && bytes > MOST_UNIFORM_BYTES {
        found.push(format!("{name} has {bytes} bytes, a uniform {MOST_UNIFORM_BYTES}"));
    }
    let want = match binding.element {
        Element::F32 => ScalarKind::Float,
        Element::U32 => ScalarKind::Uint,
    };
    let mut kinds = Vec::new();
    scalars(module, global.ty, &mut kinds);
    if kinds.is_empty() || kinds.iter().any(|kind| *kind != (want, 4)) {
        found.push(format!("{name} holds {kinds:?}, BINDINGS say {:?}", binding.element));
    }
}

/// Collects kind and width of every scalar in a type.
fn scalars(module: &Module, ty: naga::Handle<naga::Type>, found: &mut Vec<(ScalarKind, u8)>) {
    match &module.types[ty].inner {
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } | TypeInner::Matrix { scalar, .. } | TypeInner::Atomic(scalar) => {
            found.push((scalar.kind, scalar.width));
        }
        TypeInner::Array { base, .. } => scalars(module, *base, found),
        TypeInner::Struct { members, .. } => members.iter().for_each(|member| scalars(module, member.ty, found)),
        other => panic!("no binding can hold {other:?}"),
    }
}

/// Compares the struct in a storage binding, if there is one, with its Rust counterpart.
fn structs<K: Samples>(module: &Module, global: &GlobalVariable, found: &mut Vec<String>) {
    let mut ty = &module.types[global.ty];
    if let TypeInner::Array { base, .. } = ty.inner {
        ty = &module.types[base];
    }
    let TypeInner::Struct { members, span } = &ty.inner else { return };
    let name = ty.name.as_deref().unwrap_or_default();
    let known = known().into_iter().find(|known| known.name == name && (known.kernels.is_empty() || known.kernels.contains(&K::NAME)));
    let Some(known) = known else {
        found.push(format!("{name} is unknown here: add it to `known`"));
        return;
    };
    let fields = members.iter().map(|m| (m.name.as_deref().unwrap_or_default(), m.offset as usize)).filter(|(name, _)| *name != "unused");
    let fields: Vec<_> = fields.collect();
    if fields != known.fields {
        found.push(format!("fields of {name} are {fields:?}, in Rust {:?}", known.fields));
    }
    if *span as usize != known.size {
        found.push(format!("{name} has {span} bytes, in Rust {}", known.size));
    }
}

#[test]
fn rust_and_wgsl_agree_on_every_binding() {
    let mut found = Vec::new();
    let mut texts = Vec::new();
    macro_rules! visit {
        ($kernel:ty) => {
            let source = source::<$kernel>();
            found.extend(faults::<$kernel>(&source).into_iter().map(|fault| format!("{}: {fault}", stringify!($kernel))));
            texts.push(source);
        };
    }
    for_each_kernel!(visit);
    assert!(found.is_empty(), "{}", found.join("\n"));
    for known in known() {
        let used = texts.iter().any(|text| text.contains(&format!("struct {} {{", known.name)));
        assert!(used, "no kernel has a struct {}", known.name);
    }
}

#[test]
fn planted_faults_are_found() {
    use mtcmcn::kernels::nn::{Conv, ConvPool, Propose};
    use mtcmcn::kernels::select::{Arguments, Rank, Settle};
    fn planted<K: Samples>(from: &str, to: &str) -> usize {
        let (good, bad) = (source::<K>(), source::<K>().replacen(from, to, 1));
        assert_ne!(good, bad, "nothing to replace");
        faults::<K>(&bad).len()
    }
    assert_eq!(planted::<Conv>("@workgroup_size(64)", "@workgroup_size(128)"), 1);
    assert_eq!(planted::<Conv>("n: u32,\n    c: u32,", "c: u32,\n    n: u32,"), 1);
    assert_eq!(planted::<Conv>("    tiles: u32,", "    unused: u32, tiles: u32,"), 2);
    assert_eq!(planted::<Conv>("var<storage, read> bias", "var<storage, read_write> bias"), 1);
    assert_eq!(planted::<Conv>("x_h: u32,\n    x_w: u32,", "x_w: u32,\n    x_h: u32,"), 1);
    assert_eq!(planted::<Conv>("    y_w: u32,", "    y_w: u32, y_d: u32,"), 2);
    assert_eq!(planted::<Conv>("@binding(6)", "@binding(7)"), 1);
    assert_eq!(planted::<Conv>("fn main(", "fn start("), 1);
    assert_eq!(planted::<Settle>("tag: f32,", "tag: u32,"), 2, "it is in two bindings");
    assert_eq!(planted::<Rank>("same_tag: u32,", "same_tag: f32,"), 1, "does not compile");
    assert_eq!(planted::<Conv>("    k: u32,", "    k: f32,"), 1);
    assert_eq!(planted::<Propose>("array<u32, 64>", "array<u32, 4097>"), 1);
    assert_eq!(planted::<ConvPool>("array<vec4f, 256>", "array<vec4f, 4097>"), 1);
    assert_eq!(planted::<ConvPool>("var<uniform> parameters", "var<storage, read> parameters"), 1);
    assert_eq!(
        planted::<Settle>(
            "@builtin(local_invocation_index) lane: u32",
            "@builtin(local_invocation_index) lane: u32, @builtin(num_workgroups) n: vec3u"
        ),
        1
    );
    assert_eq!(planted::<Arguments>("    images: u32,", "    images: f32,"), 1, "does not compile");
}
