//! Nodes whose inputs are constant: computed when a model is read. Exporters compute the sizes of reshapes
//! so.

use super::{OnnxAttribute, OnnxNode, OnnxTensor, OnnxValue, OnnxValues, Refusal};

/// Sizes as a constant.
pub(super) fn of_sizes(sizes: &[usize]) -> OnnxTensor {
    list(sizes.iter().map(|size| *size as i64).collect())
}

fn list(values: Vec<i64>) -> OnnxTensor {
    OnnxTensor { shape: vec![values.len()], values: OnnxValues::Ints(values) }
}

/// The constant that input number `at` is.
pub(super) fn constant(inputs: &[Option<OnnxValue>], at: usize) -> Option<&OnnxTensor> {
    if let Some(Some(OnnxValue::Constant(tensor))) = inputs.get(at) { Some(tensor) } else { None }
}

/// Integers given as an attribute, or in newer operator sets as the input number `at`.
pub(super) fn ints<'a>(node: &'a OnnxNode, inputs: &'a [Option<OnnxValue>], name: &str, at: usize) -> Result<Option<&'a [i64]>, Refusal> {
    match node.ints(name) {
        Some(values) => Ok(Some(values)),
        None => constant(inputs, at).map(OnnxTensor::ints).transpose(),
    }
}

/// The result of `node`, all of whose inputs are constants.
pub(super) fn compute(node: &OnnxNode, inputs: &[Option<OnnxValue>]) -> Result<OnnxTensor, Refusal> {
    let first = || constant(inputs, 0).cloned().ok_or_else(|| "its input is missing".to_owned());
    match node.operator.as_str() {
        "Constant" => of_attributes(node),
        "ConstantOfShape" => {
            let first = first()?;
            let shape = sizes(first.ints()?)?;
            let count = crate::formats::bytes::elements(&shape).filter(|count| *count < 1 << 20).ok_or("a constant of impossible size")?;
            Ok(match node.attributes.get("value") {
                Some(OnnxAttribute::Tensor(OnnxTensor { values: OnnxValues::Ints(values), .. })) if !values.is_empty() => {
                    OnnxTensor { shape, values: OnnxValues::Ints(vec![values[0]; count]) }
                }
                Some(OnnxAttribute::Tensor(OnnxTensor { values: OnnxValues::Floats(values), .. })) if !values.is_empty() => {
                    OnnxTensor { shape, values: OnnxValues::Floats(vec![values[0]; count]) }
                }
                _ => OnnxTensor { shape, values: OnnxValues::Floats(vec![0.0; count]) },
            })
        }
        "Identity" => first(),
        "Shape" => Ok(of_sizes(&first()?.shape)),
        "Cast" => Ok(cast(first()?, node.int("to", 1))),
        "Unsqueeze" | "Squeeze" | "Flatten" | "Reshape" => reshaped(node, first()?, inputs),
        "Gather" => gathered(node, &first()?, inputs),
        "Concat" => joined(inputs),
        "Slice" => sliced(node, &first()?, inputs),
        "Transpose" => transposed(node, first()?),
        "Sqrt" => Ok(mapped(first()?, f32::sqrt)),
        "Neg" => Ok(mapped(first()?, |value| -value)),
        "Reciprocal" => Ok(mapped(first()?, f32::recip)),
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(node, inputs),
        _ => Err("an operator that is not computed on constants; simplify the model (onnxsim) before it is imported".to_owned()),
    }
}

fn sizes(values: &[i64]) -> Result<Vec<usize>, Refusal> {
    let size = |value: &i64| usize::try_from(*value).map_err(|_| format!("the size {value}"));
    values.iter().map(size).collect()
}

fn of_attributes(node: &OnnxNode) -> Result<OnnxTensor, Refusal> {
    let scalar = |values| OnnxTensor { shape: Vec::new(), values };
    match node.attributes.iter().next().map(|(_, value)| value) {
        Some(OnnxAttribute::Tensor(tensor)) => Ok(tensor.clone()),
        Some(OnnxAttribute::Float(value)) => Ok(scalar(OnnxValues::Floats(vec![*value]))),
        Some(OnnxAttribute::Int(value)) => Ok(scalar(OnnxValues::Ints(vec![*value]))),
        Some(OnnxAttribute::Floats(values)) => Ok(OnnxTensor { shape: vec![values.len()], values: OnnxValues::Floats(values.clone()) }),
        Some(OnnxAttribute::Ints(values)) => Ok(list(values.clone())),
        _ => Err("a constant of a kind that is not read".to_owned()),
    }
}

/// To one of the integer types (6, 7, 9) or to a float type.
fn cast(tensor: OnnxTensor, to: i64) -> OnnxTensor {
    let values = match (tensor.values, matches!(to, 6 | 7 | 9)) {
        (OnnxValues::Floats(values), true) => OnnxValues::Ints(values.into_iter().map(|value| value as i64).collect()),
        (OnnxValues::Ints(values), false) => OnnxValues::Floats(values.into_iter().map(|value| value as f32).collect()),
        (values, _) => values,
    };
    OnnxTensor { shape: tensor.shape, values }
}

fn mapped(tensor: OnnxTensor, each: impl Fn(f32) -> f32) -> OnnxTensor {
    let values = match tensor.values {
        OnnxValues::Floats(values) => OnnxValues::Floats(values.into_iter().map(each).collect()),
        OnnxValues::Ints(values) => OnnxValues::Ints(values.into_iter().map(|value| each(value as f32) as i64).collect()),
    };
    OnnxTensor { shape: tensor.shape, values }
}

/// The sizes that a value of the sizes `from` has after `node`, which changes nothing else.
pub(super) fn sizes_after(node: &OnnxNode, from: &[usize], inputs: &[Option<OnnxValue>]) -> Result<Vec<usize>, Refusal> {
    let place = |axis: i64, rank: usize| {
        let at = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("axis {axis} of {rank}"))
    };
    match node.operator.as_str() {
        "Flatten" => {
            let axis = node.int("axis", 1);
            let at = if axis < 0 { axis + from.len() as i64 } else { axis };
            let at = usize::try_from(at).ok().filter(|at| *at <= from.len()).ok_or_else(|| format!("axis {axis}"))?;
            Ok(vec![from[..at].iter().product(), from[at..].iter().product()])
        }
        "Unsqueeze" => {
            let axes = ints(node, inputs, "axes", 1)?.ok_or("axes that are not constant")?;
            let mut places = axes.iter().map(|axis| place(*axis, from.len() + axes.len())).collect::<Result<Vec<_>, _>>()?;
            places.sort_unstable();
            let mut sizes = from.to_vec();
            places.into_iter().for_each(|at| sizes.insert(at.min(sizes.len()), 1));
            Ok(sizes)
        }
        "Squeeze" => {
            let places = match ints(node, inputs, "axes", 1)? {
                Some(axes) => axes.iter().map(|axis| place(*axis, from.len())).collect::<Result<Vec<_>, _>>()?,
                None => (0..from.len()).filter(|at| from[*at] == 1).collect(),
            };
            if let Some(at) = places.iter().find(|at| from[**at] != 1) {
                return Err(format!("axis {at} has {} elements and not one", from[*at]));
            }
            Ok((0..from.len()).filter(|at| !places.contains(at)).map(|at| from[at]).collect())
        }
        _ => {
            let wanted = ints(node, inputs, "shape", 1)?.ok_or("a shape that is not constant")?;
            let count: usize = from.iter().product();
            let keep = |at: usize| from.get(at).copied().ok_or_else(|| format!("size {at} of {}", from.len()));
            let mut sizes = Vec::with_capacity(wanted.len());
            for (at, size) in wanted.iter().enumerate() {
                sizes.push(match size {
                    0 if node.int("allowzero", 0) == 0 => keep(at)?,
                    -1 => 1,
                    size => usize::try_from(*size).map_err(|_| format!("the size {size}"))?,
                });
            }
            let known = crate::formats::bytes::elements(&sizes).unwrap_or(0);
            if let Some(at) = wanted.iter().position(|size| *size == -1) {
                sizes[at] = count.checked_div(known).unwrap_or(0);
            }
            match crate::formats::bytes::elements(&sizes) {
                Some(got) if got == count => Ok(sizes),
                _ => Err(format!("{count} elements in the shape {wanted:?}")),
            }
        }
    }
}

fn reshaped(node: &OnnxNode, tensor: OnnxTensor, inputs: &[Option<OnnxValue>]) -> Result<OnnxTensor, Refusal> {
    Ok(OnnxTensor { shape: sizes_after(node, &tensor.shape, inputs)?, values: tensor.values })
}

/// Elements of a list.
fn gathered(node: &OnnxNode, from: &OnnxTensor, inputs: &[Option<OnnxValue>]) -> Result<OnnxTensor, Refusal> {
    let wanted = constant(inputs, 1).ok_or("indices that are not constant")?;
    let values = from.ints()?;
    if from.shape.len() != 1 || node.int("axis", 0) != 0 {
        return Err("indices into more than a list".to_owned());
    }
    let at = |index: &i64| {
        let at = if *index < 0 { index + values.len() as i64 } else { *index };
        usize::try_from(at).ok().and_then(|at| values.get(at)).copied().ok_or_else(|| format!("index {index} of {}", values.len()))
    };
    let found = wanted.ints()?.iter().map(at).collect::<Result<Vec<_>, _>>()?;
    Ok(OnnxTensor { shape: wanted.shape.clone(), values: OnnxValues::Ints(found) })
}

/// Lists of integers, end to end.
fn joined(inputs: &[Option<OnnxValue>]) -> Result<OnnxTensor, Refusal> {
    let mut all = Vec::new();
    for at in 0..inputs.len() {
        let part = constant(inputs, at).ok_or("an input is missing")?;
        if part.shape.len() != 1 {
            return Err("constants that are no lists".to_owned());
        }
        all.extend_from_slice(part.ints()?);
    }
    Ok(list(all))
}

/// Neighbouring elements of a list.
fn sliced(node: &OnnxNode, from: &OnnxTensor, inputs: &[Option<OnnxValue>]) -> Result<OnnxTensor, Refusal> {
    let values = from.ints()?;
    let one = |name: &str, at: usize, default: i64| {
        Ok::<_, Refusal>(ints(node, inputs, name, at)?.map_or(default, |list| list.first().copied().unwrap_or(default)))
    };
    let (start, end, step) = (one("starts", 1, 0)?, one("ends", 2, i64::MAX)?, one("steps", 4, 1)?);
    if from.shape.len() != 1 || step != 1 || one("axes", 3, 0)? != 0 {
        return Err("a slice of more than a list".to_owned());
    }
    let length = values.len() as i64;
    let [start, end] = [start, end].map(|at| if at < 0 { (at + length).max(0) } else { at.min(length) } as usize);
    Ok(list(values.get(start..end.max(start)).unwrap_or_default().to_vec()))
}

/// A matrix turned over.
fn transposed(node: &OnnxNode, tensor: OnnxTensor) -> Result<OnnxTensor, Refusal> {
    let order = node.ints("perm").unwrap_or(&[1, 0]);
    if (0..).zip(order).all(|(at, from)| at == *from) {
        return Ok(tensor);
    }
    let (&[rows, columns], &[1, 0]) = (&tensor.shape[..], order) else { return Err(format!("a constant turned by {order:?}")) };
    Ok(OnnxTensor { shape: vec![columns, rows], values: OnnxValues::Floats(turned(tensor.floats()?, rows, columns)) })
}

/// The matrix `[columns, rows]` of the elements of a matrix `[rows, columns]`.
pub(super) fn turned(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| data[row * columns + column])).collect()
}

/// Two constants of one shape, or one of them a single number.
fn arithmetic(node: &OnnxNode, inputs: &[Option<OnnxValue>]) -> Result<OnnxTensor, Refusal> {
    let (Some(a), Some(b)) = (constant(inputs, 0), constant(inputs, 1)) else { return Err("an input is missing".to_owned()) };
    let count = |tensor: &OnnxTensor| tensor.shape.iter().product::<usize>();
    let (most, shape) = if count(a) >= count(b) { (count(a), &a.shape) } else { (count(b), &b.shape) };
    if [a, b].iter().any(|part| count(part) != 1 && count(part) != most) || most == 0 {
        return Err(format!("constants of the shapes {:?} and {:?}", a.shape, b.shape));
    }
    let pairs = (0..most).map(|i| [i % count(a), i % count(b)]);
    let values = if let (OnnxValues::Ints(a), OnnxValues::Ints(b)) = (&a.values, &b.values) {
        let one = |[i, j]: [usize; 2]| match node.operator.as_str() {
            "Add" => a[i].checked_add(b[j]),
            "Sub" => a[i].checked_sub(b[j]),
            "Mul" => a[i].checked_mul(b[j]),
            _ => a[i].checked_div(b[j]),
        };
        OnnxValues::Ints(pairs.map(one).collect::<Option<_>>().ok_or("integers beyond their range")?)
    } else {
        let (a, b) = (a.floats()?, b.floats()?);
        let one = |[i, j]: [usize; 2]| match node.operator.as_str() {
            "Add" => a[i] + b[j],
            "Sub" => a[i] - b[j],
            "Mul" => a[i] * b[j],
            _ => a[i] / b[j],
        };
        OnnxValues::Floats(pairs.map(one).collect())
    };
    Ok(OnnxTensor { shape: shape.clone(), values })
}
