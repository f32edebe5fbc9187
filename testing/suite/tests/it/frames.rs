//! Queries built in Rust mean what they say: every chain of three operators gives the rows that DataFusion gives for the
//! same chain of operators, without SQL in between.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion::common::JoinType;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use windrow_engine::frame::Frame;
use windrow_engine::frame::expr::{Expr, col, count, lit, max, sum};

const OPERATORS: [&str; 8] =
    ["filter", "select", "with_column", "aggregate", "join", "union", "distinct", "sort+limit"];

fn table() -> RecordBatch {
    let columns = Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("city", DataType::Utf8, true),
    ]);
    let k = Int64Array::from_iter((0..40).map(|i| (i % 7 != 0).then_some(i % 5)));
    let v = Int64Array::from_iter((0..40).map(|i| (i % 11 != 0).then_some(i * 37 % 23)));
    let city = StringArray::from_iter((0..40).map(|i| (i % 9 != 0).then(|| format!("c{}", i % 3))));
    RecordBatch::try_new(Arc::new(columns), vec![Arc::new(k), Arc::new(v), Arc::new(city)]).unwrap()
}

/// What the operator takes: the names of the columns there are, the first of them a number.
fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

fn number(names: &[String]) -> Expr {
    datafusion::prelude::ident(&names[0])
}

fn all_sorted(names: &[String]) -> Vec<datafusion::logical_expr::SortExpr> {
    names.iter().rev().map(|name| datafusion::prelude::ident(name).sort(false, true)).collect()
}

fn ours(frame: Frame, operator: &str, step: usize) -> windrow::Result<Frame> {
    let names = names(frame.schema());
    match operator {
        "filter" => frame.filter(number(&names).gt(lit(1_i64))),
        "select" => frame.select(vec![number(&names).alias("k"), (number(&names) + lit(1_i64)).alias("v")]),
        "with_column" => frame.with_column(&format!("w{step}"), number(&names) * lit(2_i64)),
        "aggregate" => frame.aggregate(
            vec![number(&names).alias("k")],
            vec![count(lit(1_i64)).alias(format!("n{step}")), sum(number(&names)).alias(format!("s{step}"))],
        ),
        "join" => {
            let (left, right, most) = (format!("l{step}"), format!("r{step}"), format!("m{step}"));
            let other = frame.clone().aggregate(vec![], vec![max(number(&names)).alias(&most)])?.alias(&right)?;
            frame
                .alias(&left)?
                .join(other, JoinType::Left, &[&names[0]], &[most.as_str()])?
                .select(vec![datafusion::prelude::ident(&names[0]).alias("k"), col(&most).alias(&most)])
        }
        "union" => frame.clone().union(frame),
        "distinct" => frame.distinct(),
        _ => frame.sort(all_sorted(&names))?.limit(1, 9),
    }
}

fn theirs(plan: LogicalPlan, operator: &str, step: usize) -> datafusion::error::Result<LogicalPlan> {
    let names = names(plan.schema().as_arrow());
    let builder = LogicalPlanBuilder::from(plan.clone());
    let built = match operator {
        "filter" => builder.filter(number(&names).gt(lit(1_i64))),
        "select" => builder.project([number(&names).alias("k"), (number(&names) + lit(1_i64)).alias("v")]),
        "with_column" => {
            let columns = plan.schema().columns().into_iter().map(Expr::Column);
            builder.project(columns.chain([(number(&names) * lit(2_i64)).alias(format!("w{step}"))]))
        }
        "aggregate" => builder.aggregate(
            vec![number(&names).alias("k")],
            vec![count(lit(1_i64)).alias(format!("n{step}")), sum(number(&names)).alias(format!("s{step}"))],
        ),
        "join" => {
            let (left, right, most) = (format!("l{step}"), format!("r{step}"), format!("m{step}"));
            let other = builder.clone().aggregate(Vec::<Expr>::new(), vec![max(number(&names)).alias(&most)])?;
            let other = other.alias(right)?.build()?;
            let keys = (vec![names[0].as_str()], vec![most.as_str()]);
            let joined = builder.alias(left)?.join(other, JoinType::Left, keys, None)?;
            joined.project([datafusion::prelude::ident(&names[0]).alias("k"), col(&most).alias(&most)])
        }
        "union" => builder.union(plan),
        "distinct" => builder.distinct(),
        _ => builder.sort(all_sorted(&names))?.limit(1, Some(9)),
    };
    built?.build()
}

fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(batches).unwrap().to_string();
    let mut rows: Vec<String> = table.lines().filter(|line| !line.starts_with('+')).map(str::to_owned).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn every_chain_of_three_operators_means_what_it_says() {
    let context = SessionContext::new();
    context.register_batch("t", table()).unwrap();
    let schema = table().schema();
    let mut wrong = vec![];
    for first in OPERATORS {
        for second in OPERATORS {
            for third in OPERATORS {
                let chain = [first, second, third];
                let (mut frame, mut expected) =
                    (Frame::table("t", &schema).unwrap(), context.table("t").await.unwrap().into_unoptimized_plan());
                for (step, operator) in chain.into_iter().enumerate() {
                    frame = ours(frame, operator, step).unwrap_or_else(|e| panic!("{chain:?}: {e}"));
                    expected = theirs(expected, operator, step).unwrap_or_else(|e| panic!("{chain:?}: {e}"));
                }
                let columns = (names(frame.schema()), names(expected.schema().as_arrow()));
                let sql = frame.to_sql().unwrap();
                let answer = match context.sql(&sql).await {
                    Ok(answer) => answer.collect().await,
                    Err(error) => Err(error),
                };
                let expected = context.execute_logical_plan(expected).await.unwrap().collect().await;
                let expected = rows(&expected.unwrap());
                match answer {
                    Ok(batches) if rows(&batches) == expected && columns.0 == columns.1 => {}
                    Ok(batches) => wrong.push(format!("{chain:?}: {sql}\n  {:?}\n  {expected:?}", rows(&batches))),
                    Err(error) => wrong.push(format!("{chain:?}: {sql}\n  {error}")),
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of 512 chains are wrong, the first:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}
