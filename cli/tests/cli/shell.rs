//! The interactive shell, as a person sees it who types in a terminal.

use crate::terminal::{Terminal, is_there};
use crate::windrow::{assert_code, signal, small_data, stdout, windrow_with_stdin};

const WINDROW: &str = env!("CARGO_BIN_EXE_windrow");
/// The prompt for a new statement.
const PROMPT: &str = "windrow=>";
/// A pager that says that it is one, shows three lines and leaves.
const PAGER: &str = "PAGER=echo PAGED; head -3";

/// A shell in a terminal of this size, with a state directory of its own, ready to be typed at.
async fn shell(columns: u32, lines: u32) -> Terminal {
    shell_with_state(columns, lines, "{dir}/state").await
}

async fn shell_with_state(columns: u32, lines: u32, state: &str) -> Terminal {
    shell_with(columns, lines, &format!("XDG_STATE_HOME={state}"), PAGER).await
}

async fn shell_with(columns: u32, lines: u32, state: &str, pager: &str) -> Terminal {
    let terminal = Terminal::start(columns, lines, &["env", state, pager, WINDROW, "sql", "--cores", "2"]);
    terminal.wait_for_last(PROMPT).await;
    terminal
}

async fn end(terminal: &Terminal) {
    terminal.key("C-d");
    assert_eq!(terminal.wait_for_end().await, 0);
}

#[tokio::test]
async fn a_statement_takes_lines_until_its_semicolon_and_history_gives_it_back() {
    if !is_there() {
        return;
    }
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let state = state.path().to_str().unwrap();
    let first = shell_with_state(80, 24, state).await;
    first.enter("SELECT 40 + 2 AS answer, -- ;");
    first.wait_for_last("windrow->").await;
    first.enter("'a;");
    first.wait_for_last("windrow'>").await;
    first.enter("b' AS text; SELECT");
    let screen = first.wait_for("(1 row, ").await;
    assert!(screen.contains("answer | text") && screen.contains("42 | a;\\nb"), "{screen}");
    first.wait_for_last("windrow->").await;
    first.enter("7 AS seven;");
    first.wait_for("     7").await;
    end(&first).await;

    let second = shell_with_state(80, 24, state).await;
    second.key("Up");
    let screen = second.wait_for("7 AS seven;").await;
    assert!(screen.contains("windrow=> SELECT 40 + 2 AS answer, -- ;\n'a;\n"), "{screen}");
    second.key("Enter");
    second.wait_for("     7").await;
    second.key("C-r");
    second.type_text("seven");
    second.wait_for("reverse").await;
    end_by_quit(&second).await;
}

/// Leaves whatever is being typed, then the shell.
async fn end_by_quit(terminal: &Terminal) {
    terminal.key("C-c");
    terminal.wait_for_last(PROMPT).await;
    terminal.enter("\\q");
    assert_eq!(terminal.wait_for_end().await, 0);
}

#[tokio::test]
async fn tab_completes_keywords_tables_columns_and_commands() {
    if !is_there() {
        return;
    }
    let terminal = shell(80, 24).await;
    terminal.enter("CREATE VIEW some_view AS SELECT 1 AS first_one, 2 AS other;");
    terminal.wait_for("OK (").await;
    terminal.type_text("sel");
    terminal.key("Tab");
    terminal.wait_for_last("windrow=> select").await;
    terminal.type_text(" count(*) from some_v");
    terminal.key("Tab");
    terminal.wait_for_last("windrow=> select count(*) from some_view").await;
    terminal.type_text(" where first_");
    terminal.key("Tab");
    terminal.wait_for_last("windrow=> select count(*) from some_view where first_one").await;
    terminal.enter(" =");
    terminal.type_text("oth");
    terminal.key("Tab");
    terminal.wait_for_last("windrow-> other").await;
    terminal.enter(";");
    terminal.wait_for("(1 row, ").await;
    terminal.type_text("\\ti");
    terminal.key("Tab");
    terminal.wait_for_last("windrow=> \\timing").await;
    end_by_quit(&terminal).await;
}

#[tokio::test]
async fn long_results_go_through_the_pager_and_short_ones_do_not() {
    if !is_there() {
        return;
    }
    let terminal = shell(80, 24).await;
    terminal.enter("SELECT * FROM generate_series(1, 19) t(n);");
    let screen = terminal.wait_for("(19 rows, ").await;
    assert!(!screen.contains("PAGED"), "{screen}");
    terminal.enter("SELECT * FROM generate_series(1, 3000000) t(n);");
    let screen = terminal.wait_for("PAGED").await;
    assert!(!screen.contains("rows, ") || screen.contains("(19 rows, "), "{screen}");
    // A pager that is left early ends the statement, quietly.
    let screen = terminal.wait_for_last(PROMPT).await;
    assert!(!screen.contains("error") && !screen.contains("3000000 rows"), "{screen}");
    terminal.enter("SELECT 5 AS five;");
    terminal.wait_for("   5").await;
    end(&terminal).await;
}

#[tokio::test]
async fn ctrl_c_cancels_the_query_and_clears_the_line_and_the_shell_goes_on() {
    if !is_there() {
        return;
    }
    let terminal = shell(100, 24).await;
    let table = format!("'{}/lineitem.parquet'", small_data());
    for _ in 0..2 {
        terminal.enter(&format!(
            "SELECT count(*) FROM {table} a, {table} b, {table} c WHERE a.l_tax + b.l_tax + c.l_tax < -1;"
        ));
        // The progress bar.
        terminal.wait_until("tasks", |screen| screen.contains(" tasks")).await;
        terminal.key("C-c");
        terminal.wait_until("cancelled", |screen| screen.contains("cancelled") && is_at_prompt(screen)).await;
        terminal.enter("SELECT 6 * 7 AS answer;");
        terminal.wait_for("    42").await;
        terminal.key("C-l");
        terminal.wait_until("a clear screen", |screen| !screen.contains("42") && is_at_prompt(screen)).await;
    }
    terminal.enter("SELECT 'never");
    terminal.wait_for_last("windrow'>").await;
    terminal.type_text("ends");
    terminal.key("C-c");
    terminal.wait_for_last(PROMPT).await;
    terminal.enter("SELECT 8 AS eight;");
    terminal.wait_for("     8").await;
    end(&terminal).await;
}

fn is_at_prompt(screen: &str) -> bool {
    screen.trim_end().ends_with(PROMPT)
}

#[tokio::test]
async fn forty_columns_on_eighty_characters_stay_readable() {
    if !is_there() {
        return;
    }
    let terminal = shell(80, 70).await;
    let columns: Vec<String> = (0..40).map(|i| format!("{} AS column_number_{i}", 1000 + i)).collect();
    let directory = terminal.path().join("wide.sql");
    std::fs::write(&directory, format!("SELECT {};", columns.join(", "))).unwrap();
    terminal.enter(&format!("\\i {}", directory.display()));
    let screen = terminal.wait_for("(1 row, ").await;
    for i in 0..40 {
        let name = format!("column_number_{i}");
        assert!(screen.contains(&format!("{name:<16} | {}\n", 1000 + i)), "{name}:\n{screen}");
    }
    terminal.enter("\\x off");
    terminal.enter(&format!("\\i {}", directory.display()));
    let screen = terminal.wait_for("columns have no room here, \\x on shows them").await;
    assert!(screen.lines().any(|line| line.starts_with(" 1000 ") || line.contains(" 1000 | ")), "{screen}");
    end(&terminal).await;
}

#[tokio::test]
async fn rows_are_not_lost_to_a_pager_that_is_missing() {
    if !is_there() {
        return;
    }
    let terminal = shell_with(80, 24, "XDG_STATE_HOME={dir}/state", "PAGER=no-such-pager-anywhere").await;
    terminal.enter("SELECT value FROM generate_series(1, 40000);");
    let screen = terminal.wait_for("(40000 rows, ").await;
    assert!(screen.contains("40000\n"), "{screen}");
    end(&terminal).await;
}

#[tokio::test]
async fn null_is_neither_the_empty_text_nor_the_word() {
    if !is_there() {
        return;
    }
    // A pager that knows colours, or there are none; it is not started for one row.
    let terminal = shell_with(80, 24, "XDG_STATE_HOME={dir}/state", "PAGER=less").await;
    terminal.enter("SELECT CAST(NULL AS VARCHAR) AS a, '' AS b, 'NULL' AS c;");
    terminal.wait_for("(1 row, ").await;
    let screen = terminal.coloured_screen();
    assert!(screen.contains("\u{1b}[2mNULL\u{1b}["), "{screen:?}");
    let row = terminal.screen();
    assert!(row.contains("\n NULL |   | NULL\n"), "{row}");
    end(&terminal).await;
}

#[tokio::test]
async fn errors_point_to_their_place_and_the_shell_goes_on() {
    if !is_there() {
        return;
    }
    let terminal = shell(80, 24).await;
    terminal.enter("SELECT 1,");
    terminal.enter("  nope FROM generate_series(1, 2);");
    let screen = terminal.wait_for("^").await;
    assert!(screen.contains("error: ") && screen.contains("LINE 2:   nope FROM"), "{screen}");
    assert!(screen.contains("\n          ^"), "{screen}");
    terminal.enter("\\nope");
    terminal.wait_for("there is no command \\nope; there are \\d \\dt").await;
    end(&terminal).await;
}

#[tokio::test]
async fn commands_list_describe_write_and_include() {
    if !is_there() {
        return;
    }
    let terminal = shell(80, 50).await;
    let path = |name: &str| terminal.path().join(name).display().to_string();
    std::fs::write(path("a.sql"), "CREATE VIEW v AS SELECT 1 AS a;\n\\dt\nSELECT nope;\nSELECT 2 AS two;\n").unwrap();
    terminal.enter(&format!("\\i {}", path("a.sql")));
    let screen = terminal.wait_until("an error", |screen| screen.contains("line 3") && is_at_prompt(screen)).await;
    assert!(screen.contains(" public | v    | view") && !screen.contains("two"), "{screen}");
    terminal.enter("\\d v");
    let screen = terminal.wait_for("is_nullable").await;
    assert!(screen.contains("Int64"), "{screen}");
    terminal.enter("\\d nothing");
    terminal.wait_for("nothing' not found").await;
    terminal.enter("\\timing off");
    terminal.enter("SELECT 3 AS three;");
    terminal.wait_for("(1 row)").await;
    terminal.enter(&format!("\\o {}", path("rows.csv")));
    terminal.enter("SELECT 4 AS four, NULL AS none;");
    terminal.wait_for("(1 row; written to ").await;
    assert_eq!(std::fs::read_to_string(path("rows.csv")).unwrap(), "four,none\n4,\n");
    terminal.enter("\\o");
    terminal.enter("SELECT 5 AS five;");
    terminal.wait_for("    5").await;
    terminal.enter("exit");
    assert_eq!(terminal.wait_for_end().await, 0);
}

#[tokio::test]
async fn sigterm_at_the_prompt_leaves_the_terminal_as_it_was() {
    if !is_there() {
        return;
    }
    let terminal = shell(80, 40).await;
    terminal.type_text("SELECT");
    terminal.wait_for_last("windrow=> SELECT").await;
    signal(terminal.pid(), "TERM");
    assert_eq!(terminal.wait_for_end().await, 0);
    terminal.enter("stty -a");
    let screen = terminal.wait_for("icanon").await;
    assert!(!screen.contains("-icanon") && !screen.contains("-echo ") && !screen.contains("-echoctl"), "{screen}");
}

#[test]
fn in_a_pipe_there_is_no_prompt_and_no_colour() {
    let output = windrow_with_stdin(&["sql", "--format", "table"], "SELECT NULL AS a;\nSELECT 2 AS b;\n");
    assert_code(&output, 0);
    assert_eq!(stdout(&output), " a\n------\n NULL\n b\n---\n 2\n");
}
