//! What is known of the values of an exchange's columns and survives the hand-over: which columns are equal in every
//! row, and which have one value only. What stands above an exchange may have been planned with this knowledge, for
//! example without a sort by a column that a filter had made constant.
//!
//! Only columns are kept; what is known of larger expressions is forgotten, which costs a little and is never wrong.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::equivalence::EquivalenceGroup;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{AcrossPartitions, ConstExpr, PhysicalExpr};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Columns that are equal in every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EqualColumns {
    /// Their places.
    pub columns: Vec<usize>,
    /// Whether all rows have the same value there.
    pub constant: Option<Constant>,
}

/// What is known of the value of a constant column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// It is this value in every partition.
    Known(ScalarValue),
    /// It is one value in each partition.
    PerPartition,
}

/// What is known of the rows of an operator. `keeps_partitions` says that they are handed over partition by partition.
pub fn of(plan: &Arc<dyn ExecutionPlan>, keeps_partitions: bool) -> Vec<EqualColumns> {
    let group = plan.equivalence_properties().eq_group();
    let mut all = vec![];
    for class in group.iter() {
        let columns: Vec<&Column> = class.iter().filter_map(|expr| expr.downcast_ref()).collect();
        let Some(first) = class.iter().find(|expr| expr.is::<Column>()) else { continue };
        let constant = match group.is_expr_constant(first) {
            Some(AcrossPartitions::Uniform(Some(value))) => Some(Constant::Known(value)),
            Some(AcrossPartitions::Uniform(None)) => Some(Constant::PerPartition),
            Some(AcrossPartitions::Heterogeneous) => keeps_partitions.then_some(Constant::PerPartition),
            None => None,
        };
        if columns.len() > 1 || constant.is_some() {
            all.push(EqualColumns { columns: columns.iter().map(|column| column.index()).collect(), constant });
        }
    }
    all
}

/// The same, as DataFusion reasons with it.
pub(super) fn group(equalities: &[EqualColumns], schema: &Schema) -> EquivalenceGroup {
    let column = |index: usize| Arc::new(Column::new(schema.field(index).name(), index)) as Arc<dyn PhysicalExpr>;
    let mut group = EquivalenceGroup::default();
    for equal in equalities {
        let Some((first, others)) = equal.columns.split_first() else { continue };
        for other in others {
            group.add_equal_conditions(column(*first), column(*other));
        }
        let across = match &equal.constant {
            Some(Constant::Known(value)) => AcrossPartitions::Uniform(Some(value.clone())),
            Some(Constant::PerPartition) => AcrossPartitions::Heterogeneous,
            None => continue,
        };
        group.add_constant(ConstExpr::new(column(*first), across));
    }
    group
}
