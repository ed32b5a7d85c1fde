//! WGSL that Microsoft's older compiler FXC rejects although naga translates it. wgpu falls back to FXC if
//! `dxcompiler.dll` is missing, as on most users' machines; the test does not need FXC itself.

use mtcmcn::for_each_kernel;
use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{AddressSpace, Expression, Function, Module, TypeInner};

use super::{source, validate};

/// Returns the functions that index a vector or matrix *variable* dynamically. For such an index as the
/// target of an assignment FXC reports X3500, or X3511 in a loop
/// (<https://github.com/gfx-rs/wgpu/issues/4460>). Indexing elements of storage buffers and of values is
/// fine.
fn indexed_vector_variables(module: &Module, info: &ModuleInfo) -> Vec<String> {
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let entries = module.entry_points.iter().enumerate().map(|(i, entry)| (&entry.function, info.get_entry_point(i)));
    let bad = functions.chain(entries).filter(|(function, info)| indexes_vector_variable(module, function, info));
    bad.map(|(function, _)| function.name.clone().unwrap_or_else(|| "main".to_owned())).collect()
}

fn indexes_vector_variable(module: &Module, function: &Function, info: &FunctionInfo) -> bool {
    function.expressions.iter().any(|(_, expression)| {
        let Expression::Access { base, .. } = expression else { return false };
        match info[*base].ty.inner_with(&module.types) {
            TypeInner::Pointer { base, space } => {
                let vector = matches!(module.types[*base].inner, TypeInner::Vector { .. } | TypeInner::Matrix { .. });
                vector && !matches!(space, AddressSpace::Storage { .. } | AddressSpace::Uniform)
            }
            TypeInner::ValuePointer { size: Some(_), space, .. } => !matches!(space, AddressSpace::Storage { .. } | AddressSpace::Uniform),
            _ => false,
        }
    })
}

#[test]
fn no_kernel_indexes_a_vector_variable_dynamically() {
    macro_rules! visit {
        ($kernel:ty) => {
            let (module, info) = validate(&source::<$kernel>()).expect("valid");
            assert_eq!(indexed_vector_variables(&module, &info), Vec::<String>::new(), "{}", stringify!($kernel));
        };
    }
    for_each_kernel!(visit);
}

#[test]
fn an_indexed_vector_variable_is_found() {
    let found = |body: &str| {
        let text =
            format!("struct S {{ v: vec4f }} @compute @workgroup_size(1) fn main(@builtin(local_invocation_index) i: u32) {{ {body} }}");
        let (module, info) = validate(&text).unwrap();
        indexed_vector_variables(&module, &info).len()
    };
    assert_eq!(found("var v: vec4f; v[i] = 1.0;"), 1);
    assert_eq!(found("var s: S; s.v[i] = 1.0;"), 1);
    assert_eq!(found("var m: mat4x4f; m[i] = vec4f(1.0);"), 1);
    assert_eq!(found("var v: vec4f; v[2] = 1.0; var a: array<f32, 4>; a[i] = v.x;"), 0);
}
