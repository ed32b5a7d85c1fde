//! A frame that the caller has uploaded is searched on the device without a copy.

use mtcmcn::Detections;
use mtcmcn::engine::gpu::{Gpu, GpuFrame};

use crate::faults::{detector, own_engine};
use crate::flight::{frames, one_by_one};

#[test]
fn uploaded_frames_give_the_same_faces_in_any_order_with_others() {
    let engine = own_engine();
    let gpu = engine.gpu().expect("a GPU engine");
    let mut detector = detector(engine.clone());
    let frames = frames(8);
    let want = one_by_one(&mut detector, &frames);
    let lent: Vec<_> = (0..3).map(|_| GpuFrame::new(gpu, frames[0].width(), frames[0].height()).expect("room")).collect();
    let before = engine.tally().bytes_up;
    // Two of three frames are uploaded by the caller and are not overwritten by the third.
    let mut got: Vec<Detections> = Vec::new();
    let mut tickets = std::collections::VecDeque::new();
    for (i, frame) in frames.iter().enumerate() {
        if tickets.len() == 2 {
            got.push(detector.collect(tickets.pop_front().expect("two")).expect("a result"));
        }
        let ticket = if i % 3 == 2 {
            detector.submit(frame)
        } else {
            lent[i % 3].write(frame.rgba());
            detector.submit_uploaded(frame, &lent[i % 3])
        };
        tickets.push_back(ticket.expect("room for it"));
    }
    got.extend(tickets.into_iter().map(|ticket| detector.collect(ticket).expect("a result")));
    assert_eq!(got, want);
    assert_eq!(engine.tally().bytes_up - before, 8 * frames[0].rgba().len() as u64, "every frame goes up once");
}

#[test]
fn a_frame_on_another_device_or_of_another_size_is_uploaded() {
    let (engine, other) = (own_engine(), own_engine());
    let mut detector = detector(engine.clone());
    let frames = frames(1);
    let want = one_by_one(&mut detector, &frames);
    let [width, height] = [frames[0].width(), frames[0].height()];
    let elsewhere = GpuFrame::new(other.gpu().expect("a GPU engine"), width, height).expect("room");
    let small = GpuFrame::new(engine.gpu().expect("a GPU engine"), width, height - 1).expect("room");
    for uploaded in [elsewhere, small] {
        let ticket = detector.submit_uploaded(&frames[0], &uploaded).expect("room for it");
        assert_eq!(detector.collect(ticket).expect("a result"), want[0]);
    }
}

/// This is how a window uses the detector on the device that it draws with.
#[test]
fn a_device_of_the_caller_searches() {
    let name = own_engine().gpu().expect("a GPU engine").report().clone();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let opened = adapters.iter().find_map(|adapter| {
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).ok()?;
        let gpu = Gpu::from_device(adapter, device.clone(), queue).ok().filter(|gpu| *gpu.report() == name)?;
        Some((gpu, device))
    });
    let (gpu, device) = opened.expect("the adapter under test is among them");
    // A usage error of the caller is not a fault of the engine.
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
    let _ = device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false });
    let frames = frames(1);
    let want = one_by_one(&mut detector(own_engine()), &frames);
    assert_eq!(one_by_one(&mut detector(gpu.into()), &frames), want);
}

#[test]
fn a_device_with_less_than_the_default_limits_is_refused() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let small = wgpu::DeviceDescriptor { required_limits: wgpu::Limits::downlevel_webgl2_defaults(), ..Default::default() };
    let opened = adapters.iter().find_map(|adapter| Some((adapter, pollster::block_on(adapter.request_device(&small)).ok()?)));
    let (adapter, (device, queue)) = opened.expect("any adapter has this little");
    let error = Gpu::from_device(adapter, device, queue).expect_err("no compute shaders").to_string();
    assert!(error.contains("default limits"), "{error}");
}
