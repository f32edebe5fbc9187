//! [`OperatorMetrics`] as messages and back.

use windrow_common::OperatorMetrics;

use crate::control as wire;

pub(crate) fn operators_to_wire(operators: &[OperatorMetrics]) -> Vec<wire::OperatorMetrics> {
    let operator = |o: &OperatorMetrics| wire::OperatorMetrics {
        rows: o.rows,
        compute_nanos: o.compute_nanos,
        spilled_bytes: o.spilled_bytes,
        scanned_bytes: o.scanned_bytes,
    };
    operators.iter().map(operator).collect()
}

pub(crate) fn operators_from_wire(operators: &[wire::OperatorMetrics]) -> Vec<OperatorMetrics> {
    let operator = |o: &wire::OperatorMetrics| OperatorMetrics {
        rows: o.rows,
        compute_nanos: o.compute_nanos,
        spilled_bytes: o.spilled_bytes,
        scanned_bytes: o.scanned_bytes,
    };
    operators.iter().map(operator).collect()
}
