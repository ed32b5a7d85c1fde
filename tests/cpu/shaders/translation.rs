//! Translation of every kernel to the language of every backend, so that a kernel that Metal or D3D12 cannot
//! run fails on a machine that has neither.
//!
//! If `MTCMCN_TRANSLATIONS` is set to a folder, the results are written there for the compilers that
//! `tools/check.sh` runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mtcmcn::for_each_kernel;
use mtcmcn::kernels::Samples;
use mtcmcn::record::AnyKernel;
use naga::back::{glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::ModuleInfo;
use naga::{Module, ResourceBinding, ShaderStage};

use super::{source, validate};

/// Out-of-range indices are clamped, as wgpu does if the driver does not.
const CLAMPED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Restrict,
    binding_array: BoundsCheckPolicy::Unchecked,
};

const STAGE: ShaderStage = ShaderStage::Compute;

/// Returns the translations of one module, by file extension.
fn translate(module: &Module, info: &ModuleInfo) -> Vec<(&'static str, Vec<u8>)> {
    let mut texts = vec![("metal", metal(module, info))];
    for (extension, version) in
        [("es.comp", glsl::Version::Embedded { version: 310, is_webgl: false }), ("gl.comp", glsl::Version::Desktop(430))]
    {
        texts.push((extension, opengl(module, info, version)));
    }
    for (extension, model) in
        [("sm51.hlsl", hlsl::ShaderModel::V5_1), ("sm60.hlsl", hlsl::ShaderModel::V6_0), ("sm66.hlsl", hlsl::ShaderModel::V6_6)]
    {
        // First with the options of wgpu, then the version to keep: glslang does not support the cast that
        // zeroes workgroup memory.
        direct3d(module, info, model, true);
        texts.push((extension, direct3d(module, info, model, false)));
    }
    let mut files: Vec<(&'static str, Vec<u8>)> = texts.into_iter().map(|(extension, text)| (extension, text.into_bytes())).collect();
    files.push(("spv", vulkan(module, info)));
    files
}

fn vulkan(module: &Module, info: &ModuleInfo) -> Vec<u8> {
    let options = spv::Options { lang_version: (1, 3), bounds_check_policies: CLAMPED, ..spv::Options::default() };
    let pipeline = spv::PipelineOptions { shader_stage: STAGE, entry_point: "main".to_owned() };
    let words = spv::write_vec(module, info, &options, Some(&pipeline)).expect("SPIR-V");
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn metal(module: &Module, info: &ModuleInfo) -> String {
    let mutable = |global: &naga::GlobalVariable| match global.space {
        naga::AddressSpace::Storage { access } => access.contains(naga::StorageAccess::STORE),
        _ => false,
    };
    let bound = module.global_variables.iter().filter_map(|(_, global)| global.binding.map(|at| (at, mutable(global))));
    let target = |at: ResourceBinding, mutable| msl::BindTarget { buffer: Some(at.binding as u8), mutable, ..msl::BindTarget::default() };
    let resources = bound.map(|(at, mutable)| (at, target(at, mutable))).collect();
    let resources = msl::EntryPointResources { resources, sizes_buffer: Some(30), ..msl::EntryPointResources::default() };
    let options = msl::Options {
        lang_version: (2, 1),
        per_entry_point_map: BTreeMap::from([("main".to_owned(), resources)]),
        fake_missing_bindings: false,
        bounds_check_policies: CLAMPED,
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions { entry_point: Some((STAGE, "main".to_owned())), ..msl::PipelineOptions::default() };
    let (text, result) = msl::write_string(module, info, &options, &pipeline).expect("MSL");
    for name in result.entry_point_names {
        name.expect("an entry point of MSL");
    }
    text
}

fn direct3d(module: &Module, info: &ModuleInfo, shader_model: hlsl::ShaderModel, zeroed: bool) -> String {
    let options = hlsl::Options { shader_model, zero_initialize_workgroup_memory: zeroed, ..hlsl::Options::default() };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((STAGE, "main".to_owned())) };
    let mut text = String::new();
    let result = hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None).expect("HLSL");
    for name in result.entry_point_names {
        assert_eq!(name.expect("an entry point of HLSL"), "main", "tools/check.sh compiles main");
    }
    text
}

fn opengl(module: &Module, info: &ModuleInfo, version: glsl::Version) -> String {
    let bound = module.global_variables.iter().filter_map(|(_, global)| global.binding);
    let binding_map = bound.map(|at| (at, at.binding as u8)).collect();
    let options = glsl::Options { version, binding_map, ..glsl::Options::default() };
    let pipeline = glsl::PipelineOptions { shader_stage: STAGE, entry_point: "main".to_owned(), multiview: None };
    let mut text = String::new();
    let mut writer = glsl::Writer::new(&mut text, module, info, &options, &pipeline, CLAMPED).expect("GLSL");
    writer.write().expect("GLSL");
    text
}

/// Translates `K` once for every set of override values in its samples; returns the number of sets.
fn check<K: Samples>() -> usize {
    let (module, info) = validate(&source::<K>()).unwrap_or_else(|error| panic!("{}: {error}", K::NAME));
    let mut done = BTreeMap::new();
    for sample in K::samples() {
        let values = AnyKernel::overrides(&sample.kernel);
        let name = values.iter().fold(K::NAME.to_owned(), |name, (key, value)| format!("{name}-{key}{value}"));
        if done.contains_key(&name) {
            continue;
        }
        let constants = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let (module, info) =
            process_overrides(&module, &info, Some((STAGE, "main")), &constants).unwrap_or_else(|error| panic!("{name}: {error}"));
        done.insert(name, translate(&module, &info));
    }
    if let Some(folder) = std::env::var_os("MTCMCN_TRANSLATIONS") {
        fs::create_dir_all(&folder).unwrap();
        for (name, files) in &done {
            for (extension, bytes) in files {
                fs::write(Path::new(&folder).join(format!("{name}.{extension}")), bytes).unwrap();
            }
        }
    }
    done.len()
}

#[test]
fn every_kernel_translates_for_every_backend() {
    let mut translated = 0;
    macro_rules! visit {
        ($kernel:ty) => {
            translated += check::<$kernel>();
        };
    }
    for_each_kernel!(visit);
    assert!(translated > 10, "only {translated} modules");
}
