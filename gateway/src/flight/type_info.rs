//! The types of columns, as Flight SQL asks for them (XdbcTypeInfo).

use std::sync::OnceLock;

use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use windrow_common::{Error, Result};

/// All types.
pub(super) fn all() -> Result<&'static XdbcTypeInfoData> {
    static ALL: OnceLock<std::result::Result<XdbcTypeInfoData, String>> = OnceLock::new();
    ALL.get_or_init(|| build().build().map_err(|e| e.to_string())).as_ref().map_err(|e| Error::internal(e.clone()))
}

fn build() -> XdbcTypeInfoDataBuilder {
    let mut types = XdbcTypeInfoDataBuilder::new();
    let integers = [
        ("TINYINT", XdbcDataType::XdbcTinyint, 3),
        ("SMALLINT", XdbcDataType::XdbcSmallint, 5),
        ("INTEGER", XdbcDataType::XdbcInteger, 10),
        ("BIGINT", XdbcDataType::XdbcBigint, 19),
    ];
    for (name, kind, digits) in integers {
        types.append(number(name, kind, digits, false));
        types.append(number(&format!("{name} UNSIGNED"), kind, digits, true));
    }
    types.append(XdbcTypeInfo { num_prec_radix: Some(2), ..number("REAL", XdbcDataType::XdbcReal, 24, false) });
    types.append(XdbcTypeInfo { num_prec_radix: Some(2), ..number("DOUBLE", XdbcDataType::XdbcDouble, 53, false) });
    types.append(XdbcTypeInfo {
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        minimum_scale: Some(0),
        maximum_scale: Some(76),
        ..number("DECIMAL", XdbcDataType::XdbcDecimal, 76, false)
    });
    types.append(plain("BOOLEAN", XdbcDataType::XdbcBit));
    types.append(quoted("VARCHAR", XdbcDataType::XdbcVarchar, "'"));
    types.append(quoted("BYTEA", XdbcDataType::XdbcVarbinary, "x'"));
    let times = [
        // The code of a date has the number, and here the name, of the code of a year.
        ("DATE", XdbcDataType::XdbcDate, XdbcDatetimeSubcode::XdbcSubcodeYear, "DATE '"),
        ("TIME", XdbcDataType::XdbcTime, XdbcDatetimeSubcode::XdbcSubcodeTime, "TIME '"),
        ("TIMESTAMP", XdbcDataType::XdbcTimestamp, XdbcDatetimeSubcode::XdbcSubcodeTimestamp, "TIMESTAMP '"),
    ];
    for (name, kind, subcode, prefix) in times {
        types.append(XdbcTypeInfo {
            sql_data_type: XdbcDataType::XdbcDatetime,
            datetime_subcode: Some(subcode),
            ..quoted(name, kind, prefix)
        });
    }
    types.append(quoted("INTERVAL", XdbcDataType::XdbcInterval, "INTERVAL '"));
    types
}

fn plain(name: &str, kind: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: kind,
        column_size: None,
        literal_prefix: None,
        literal_suffix: None,
        create_params: None,
        nullable: Nullable::NullabilityNullable,
        case_sensitive: false,
        searchable: Searchable::Full,
        unsigned_attribute: None,
        fixed_prec_scale: false,
        auto_increment: None,
        local_type_name: Some(name.to_owned()),
        minimum_scale: None,
        maximum_scale: None,
        sql_data_type: kind,
        datetime_subcode: None,
        num_prec_radix: None,
        interval_precision: None,
    }
}

fn number(name: &str, kind: XdbcDataType, digits: i32, unsigned: bool) -> XdbcTypeInfo {
    XdbcTypeInfo {
        column_size: Some(digits),
        unsigned_attribute: Some(unsigned),
        auto_increment: Some(false),
        num_prec_radix: Some(10),
        ..plain(name, kind)
    }
}

fn quoted(name: &str, kind: XdbcDataType, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        case_sensitive: name == "VARCHAR",
        ..plain(name, kind)
    }
}
