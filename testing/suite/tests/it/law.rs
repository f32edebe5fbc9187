//! The union-of-tasks law over every stage of every TPC-H query and of every kind of join; and that breaking what guards
//! it is noticed.

use windrow_suite::stages::{Order, Stages, text_rows};
use windrow_suite::tables;
use windrow_tpch::{Oracle, Query};

const ORDERS: [Order; 3] = [Order::Straight, Order::Reverse, Order::Shuffled(42)];

async fn set(stages: &Stages, key: &str, value: &str) {
    stages.plan(&format!("SET {key} = '{value}'")).await.unwrap();
}

#[tokio::test]
async fn every_stage_of_tpch_is_the_union_of_its_tasks() {
    let stages = Stages::new(&crate::data::tables()).await.unwrap();
    set(&stages, "windrow.fast_path", "off").await;
    let mut spread = 0;
    for partitions in ["3", "16"] {
        set(&stages, "windrow.partitions", partitions).await;
        for query in Query::all() {
            let job = stages.plan(query.sql()).await.unwrap().unwrap();
            spread += job.graph.stages.iter().filter(|stage| stage.tasks.len() > 1).count();
            let mut results = vec![];
            for order in ORDERS {
                let (_, rows) =
                    stages.check_law(&job, order).await.unwrap_or_else(|e| panic!("{query}, {order:?}: {e}"));
                results.push(rows);
            }
            assert!(results.windows(2).all(|pair| pair[0].len() == pair[1].len()), "{query}: results differ in length");
        }
    }
    assert!(spread > 50, "only {spread} stages were run by more than one task");
}

#[tokio::test]
async fn every_kind_of_join_is_the_union_of_its_tasks_and_right() {
    let dir = tempfile::tempdir().unwrap();
    let statements = tables::write(dir.path()).unwrap();
    let oracle = Oracle::new(2).unwrap();
    for statement in &statements {
        oracle.run(statement).await.unwrap();
    }
    let mut spread = 0;
    for (algorithm, settings) in tables::ALGORITHMS {
        let stages = Stages::new(&statements).await.unwrap();
        set(&stages, "windrow.fast_path", "off").await;
        for (key, value) in settings {
            set(&stages, key, value).await;
        }
        for left in tables::KINDS {
            for right in tables::KINDS {
                for (case, sql) in tables::joins(&format!("l_{left}"), &format!("r_{right}")) {
                    let name = format!("{algorithm}: {case}, {left} with {right}");
                    let expected = oracle.run(&sql).await.unwrap().0;
                    let expected = text_rows(&expected).unwrap();
                    let job = stages.plan(&sql).await.unwrap_or_else(|e| panic!("{name}: {e}")).unwrap();
                    spread += job.graph.stages.iter().filter(|stage| stage.tasks.len() > 1).count();
                    let (_, rows) =
                        stages.check_law(&job, Order::Shuffled(7)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert_eq!(rows, expected, "{name}");
                }
            }
        }
    }
    assert!(spread > 1000, "only {spread} stages were run by more than one task");
}
