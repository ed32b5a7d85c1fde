//! The nets on the CPU engine and the twin against golden numbers.

use mtcmcn::Engine;
use mtcmcn::kernels::nn::{Conv, MaxPool};
use mtcmcn::record::{Recording, Slot};
use mtcmcn::tensor::{Shape, Tensor, noise};

use crate::{golden, heads, rivals};

#[test]
fn twin_gives_the_golden_outputs() {
    golden::check(&Engine::twin());
}

#[test]
fn cpu_engine_gives_the_golden_outputs() {
    golden::check(&Engine::cpu());
}

#[test]
fn twin_and_cpu_engine_give_the_rivals_outputs() {
    rivals::check(&Engine::twin());
    rivals::check(&Engine::cpu());
}

/// Records two convolutions with pooling between them over `n` items; returns the result.
fn record_chain(r: &mut Recording, n: u32) -> Slot {
    let weights = |r: &mut Recording, [out, c]: [usize; 2]| {
        let data = noise(out * c * 9, 2);
        let weight = r.constant("weight", Conv::pack(&Tensor { shape: vec![out, c, 3, 3], data }));
        [weight, r.constant("bias", Conv::pad(&noise(out, 3))), r.constant("slope", Conv::pad(&noise(out, 4)))]
    };
    let shape = Shape::new([n, 8, 13, 11]).unwrap();
    let x = r.input("x", shape.elements() as usize);
    let (first, levels, shape) = Conv::new(&shape, 20, 3).unwrap();
    let ([weight, bias, slope], levels) = (weights(r, [20, 8]), r.table("levels", levels));
    let convolved = r.scratch("convolved", shape.elements() as usize);
    r.push(first, &[x, weight, bias, slope, levels, convolved]);
    let (pool, levels, shape) = MaxPool::new(&shape, 2, 2).unwrap();
    let (levels, pooled) = (r.table("levels", levels), r.scratch("pooled", shape.elements() as usize));
    r.push(pool, &[convolved, levels, pooled]);
    let (second, levels, shape) = Conv::new(&shape, 16, 3).unwrap();
    let ([weight, bias, slope], levels) = (weights(r, [16, 20]), r.table("levels", levels));
    let y = r.slot("y", shape.elements() as usize);
    r.push(second, &[pooled, weight, bias, slope, levels, y]);
    r.output(y);
    y
}

#[test]
fn a_few_items_at_a_time_give_the_same_bits_as_step_by_step() {
    for (n, threads) in [(2, 1), (21, 1), (21, 3), (50, 2)] {
        let mut recording = Recording::new();
        let y = record_chain(&mut recording, n);
        let (x, steps) = (recording.steps()[0].slots[0], recording.steps().len());
        let mut session = Engine::cpu_with_threads(threads).unwrap().load(recording).unwrap();
        let pixels = noise((n * 8 * 13 * 11) as usize, 1);
        session.write(x, bytemuck::cast_slice(&pixels));
        session.play().unwrap();
        let together = session.peek(y).unwrap();
        (0..steps).for_each(|i| session.play_step(i).unwrap());
        let apart = session.peek(y).unwrap();
        assert!(together.iter().zip(&apart).all(|(a, b)| a.to_bits() == b.to_bits()), "{n} items, {threads} threads");
        assert!(together.iter().any(|value| *value != 0.0), "a result");
    }
}

#[test]
fn a_fused_graph_gives_what_its_pass_gives() {
    crate::graphs::check_fused(&Engine::twin());
    crate::graphs::check_fused(&Engine::cpu());
}

#[test]
fn decomposition_and_heads_give_the_golden_numbers() {
    heads::check(&Engine::twin());
    heads::check(&Engine::cpu());
}
