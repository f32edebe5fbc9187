//! What there is, as clients ask for it.

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};

use crate::house::{House, error, fetch, query, text, update};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalogs_schemas_and_tables_are_listed() {
    let house = House::start().await;
    let mut client = house.client().await;
    for sql in [
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.orders AS SELECT 1 AS id, 'x' AS item",
        "CREATE VIEW recent AS SELECT id FROM sales.orders",
        "CREATE TEMPORARY TABLE mine AS SELECT 2 AS two",
    ] {
        update(&mut client, sql).await;
    }
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await), "windrow");
    let all = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: None };
    let info = client.get_db_schemas(all).await.unwrap();
    let schemas = text(&fetch(&mut client, info).await);
    assert!(["public", "sales", "temp"].iter().all(|name| schemas.contains(&format!("windrow,{name}"))), "{schemas}");
    let wanted = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let info = client.get_tables(wanted).await.unwrap();
    let announced = info.clone().try_decode_schema().unwrap();
    let batches = fetch(&mut client, info).await;
    assert_eq!(batches[0].schema().as_ref(), &announced);
    let named = batches[0].project(&[1, 2, 3]).unwrap();
    assert_eq!(text(&[named]), "public,recent,VIEW;sales,orders,TABLE;temp,mine,LOCAL TEMPORARY");
    let wanted = CommandGetTables { table_name_filter_pattern: Some("ord%".to_owned()), ..CommandGetTables::default() };
    let info = client.get_tables(wanted).await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await), "windrow,sales,orders,TABLE");
    let info = client.get_table_types().await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await), "LOCAL TEMPORARY;TABLE;VIEW");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_none_and_the_server_says_what_it_can() {
    let house = House::start().await;
    let mut client = house.client().await;
    let table = || "t".to_owned();
    let primary = CommandGetPrimaryKeys { table: table(), ..CommandGetPrimaryKeys::default() };
    let exported = CommandGetExportedKeys { table: table(), ..CommandGetExportedKeys::default() };
    let imported = CommandGetImportedKeys { table: table(), ..CommandGetImportedKeys::default() };
    let cross =
        CommandGetCrossReference { pk_table: table(), fk_table: table(), ..CommandGetCrossReference::default() };
    for info in [
        client.get_primary_keys(primary).await.unwrap(),
        client.get_exported_keys(exported).await.unwrap(),
        client.get_imported_keys(imported).await.unwrap(),
        client.get_cross_reference(cross).await.unwrap(),
    ] {
        let rows: usize = fetch(&mut client, info).await.iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(rows, 0);
    }
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    assert!(text(&fetch(&mut client, info).await).contains("Windrow"));
    let info = client.get_sql_info(vec![]).await.unwrap();
    assert!(fetch(&mut client, info).await[0].num_rows() > 50);
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    assert!(fetch(&mut client, info).await[0].num_rows() > 15);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_can_be_asked_in_sql() {
    let house = House::start().await;
    let mut client = house.client().await;
    update(&mut client, "CREATE TABLE t AS SELECT 1 AS id, 'x' AS item").await;
    assert!(query(&mut client, "SHOW TABLES").await.contains("windrow,public,t,BASE TABLE"));
    assert!(query(&mut client, "SHOW COLUMNS FROM t").await.contains("item"));
    assert_eq!(query(&mut client, "DESCRIBE t").await, "id,Int64,NO;item,Utf8,NO".replace("Utf8", "Utf8View"));
    let settings = query(&mut client, "SHOW ALL").await;
    assert!(settings.contains("fast_path"), "{settings}");
    let sql = "SELECT column_name FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position";
    assert_eq!(query(&mut client, sql).await, "id;item");
    assert!(query(&mut client, "EXPLAIN SELECT * FROM t").await.contains("stage-0"));
    update(&mut client, "CREATE SCHEMA s").await;
    update(&mut client, "CREATE TABLE s.u AS SELECT 1 AS x").await;
    assert!(error(&mut client, "DROP SCHEMA s").await.contains("depend"));
    update(&mut client, "DROP SCHEMA s CASCADE").await;
    assert!(error(&mut client, "SELECT * FROM s.u").await.contains("not found"));
    house.stop().await;
}
