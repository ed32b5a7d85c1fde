//! Tests of the kernels of this folder against results computed independently of their references.

use super::{Arguments, Candidate, Counter, Faces, NmsRule, Rank, Row, Settle, Suppress, lists, sample_list};
use crate::kernels::words;
use crate::record::{Counted, Kernel};

type KernelBody<K> = fn(&K, u32, &[&[f32]], &mut [&mut [f32]]);

/// The bodies that the engines on the host run.
fn bodies<K: Kernel>() -> [KernelBody<K>; 2] {
    [Kernel::reference, Kernel::native]
}

/// NMS by its definition, in integers, since corners are integers: returns the places of the kept candidates
/// among `places`, best first, ties by place. A candidate is dropped if a kept one before it overlaps it by
/// more than half of their union.
fn by_definition(list: &[Candidate], places: impl Iterator<Item = usize>) -> Vec<usize> {
    let area = |[x1, y1, x2, y2]: [i64; 4]| (x2 - x1 + 1).max(0) * (y2 - y1 + 1).max(0);
    let corners = |i: usize| list[i].corners.map(|corner| corner as i64);
    let overlap = |a: [i64; 4], b: [i64; 4]| area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let mut ranked: Vec<usize> = places.collect();
    ranked.sort_by(|&a, &b| list[b].score.total_cmp(&list[a].score).then(a.cmp(&b)));
    let mut kept: Vec<usize> = Vec::new();
    for i in ranked {
        let gone = kept.iter().any(|&better| {
            let (a, b) = (corners(better), corners(i));
            let both = overlap(a, b);
            2 * both > area(a) + area(b) - both
        });
        if !gone {
            kept.push(i);
        }
    }
    kept
}

/// Returns the order and the rows of bits of a list, computed by one body.
fn ranked(rank: Rank, play: KernelBody<Rank>, list: &[f32], keep: &[f32], held: u32) -> [Vec<f32>; 2] {
    let (mut order, mut rows) = (vec![0.0; keep.len()], vec![0.0; keep.len() * keep.len().div_ceil(32)]);
    play(&rank, 1, &[list, keep, &lists(&[vec![held]])], &mut [&mut order, &mut rows]);
    [order, rows]
}

#[test]
fn what_settles_is_what_the_definition_of_nms_keeps_in_its_order() {
    for held in [1, 33, 300] {
        let candidates = sample_list(held, 21);
        let (list, n) = (bytemuck::cast_slice::<_, f32>(&candidates), held as u32);
        let keep = words((0..n).map(|i| u32::from(i % 7 != 3)));
        let want = by_definition(&candidates, (0..held).filter(|i| i % 7 != 3));
        let took_part = keep.iter().filter(|keep| keep.to_bits() == 1).count();
        assert!(held == 1 || want.len() > 3 && want.len() < took_part, "some are kept, some go");
        for (rank, settle) in bodies::<Rank>().into_iter().zip(bodies::<Settle>()) {
            let rule = NmsRule { threshold: 0.5, smaller: false, same_tag: false };
            let [order, rows] = ranked(Rank::new(1, n, 0, rule), rank, list, &keep, n);
            let (mut settled, mut counters) = (vec![f32::NAN; list.len()], lists(&[vec![n], vec![0], vec![0]]));
            let kernel = Settle::new(1, n, n, [0, 1, 2]);
            settle(&kernel, 1, &[list, &keep, &order, &rows, &[]], &mut [&mut settled, &mut counters, &mut []]);
            let counter = Counter::at(&counters, 2, 1, 0);
            assert_eq!((counter.held as usize, counter.fault), (want.len(), 0));
            let got = &Candidate::list(&settled)[..want.len()];
            assert!(got.iter().zip(&want).all(|(got, i)| got == &candidates[*i]), "the same ones in the same order");
        }
    }
}

#[test]
fn what_a_tag_suppresses_is_what_the_definition_of_nms_drops_among_its_own() {
    let mut candidates = sample_list(257, 22);
    candidates.sort_by(|a, b| a.tag.total_cmp(&b.tag));
    let (list, n) = (bytemuck::cast_slice::<_, f32>(&candidates), 257);
    let mut want = vec![0; 257];
    for tag in [-2.0, -1.0, 0.0, 1.0, 2.0] {
        by_definition(&candidates, (0..257).filter(|&i| candidates[i].tag == tag)).into_iter().for_each(|i| want[i] = 1);
    }
    for (rank, suppress) in bodies::<Rank>().into_iter().zip(bodies::<Suppress>()) {
        let rule = NmsRule { threshold: 0.5, smaller: false, same_tag: true };
        let all = words(vec![1; 257]);
        let [order, rows] = ranked(Rank::new(1, n, 0, rule), rank, list, &all, n);
        let mut keep = all.clone();
        suppress(&Suppress::new(1, n, 0, 5), 1, &[list, &lists(&[vec![n]]), &order, &rows], &mut [&mut keep]);
        assert_eq!(keep.iter().map(|keep| keep.to_bits()).collect::<Vec<_>>(), want);
    }
}

#[test]
fn numbers_of_items_worked_out_by_hand() {
    let rows = [0, 100, 200].map(|first| Row { first, most: 100 });
    let counters = lists(&[vec![9, 9], vec![70, 67]]);
    for play in bodies::<Arguments>() {
        let mut items = vec![f32::NAN; 3 * Counted::WORDS];
        let table = words(bytemuck::cast_slice(&rows).iter().copied());
        play(&Arguments::new(2, 1, 3), 1, &[&counters, &table], &mut [&mut items]);
        // 137 items: 100 in the first chunk, 37 in the second, none in the third.
        assert_eq!([0, 1, 2].map(|index| items[index * Counted::WORDS].to_bits()), [100, 37, 0]);
        assert_eq!(items.iter().filter(|word| !word.is_nan()).count(), 3, "the rest of an entry is the kernel's own");
    }
}

#[test]
fn a_face_worked_out_by_hand() {
    let (found, crop) = (Candidate::new([11.0, 21.0, 30.0, 40.0], 0.75, 1.0), Candidate::new([1.0, 1.0, 20.0, 40.0], 0.5, 0.0));
    let other = Candidate::new([0.0; 4], 0.0, 0.0);
    let mut landmarks = [0.0; 20];
    landmarks[10..].copy_from_slice(&[0.0, 0.5, 1.0, 0.25, 0.75, 0.0, 0.5, 1.0, 0.25, 0.75]);
    for play in bodies::<Faces>() {
        let mut face = [f32::NAN; 2 * Faces::WORDS];
        let (list, crops) = ([found, other], [other, crop]);
        let read = [bytemuck::cast_slice(&list), &lists(&[vec![1]]), bytemuck::cast_slice(&crops), &landmarks];
        play(&Faces::new(1, 0, 2, 2), 1, &read, &mut [&mut face]);
        let want = [10.0, 20.0, 30.0, 40.0, 0.75, 0.0, 10.0, 20.0, 5.0, 15.0, 0.0, 20.0, 40.0, 10.0, 30.0, 0.0];
        assert_eq!(face[..Faces::WORDS], want);
        assert!(face[Faces::WORDS..].iter().all(|word| word.is_nan()), "there is one face");
    }
}
