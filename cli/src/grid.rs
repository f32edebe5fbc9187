//! Small tables of the commands themselves, such as the times of a benchmark: all rows known, a few columns.

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a header.
#[derive(Clone, Debug)]
pub struct Grid {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    footer_from: Option<usize>,
}

impl Grid {
    /// A grid without rows.
    pub fn new(columns: &[(&'static str, Align)]) -> Grid {
        Grid { columns: columns.to_vec(), rows: Vec::new(), footer_from: None }
    }

    /// Adds a row; cells that are missing stay empty.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Adds a row below a line.
    pub fn footer(&mut self, cells: Vec<String>) {
        self.footer_from.get_or_insert(self.rows.len());
        self.rows.push(cells);
    }
}

impl std::fmt::Display for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let width = |(column, (name, _)): (usize, &(&str, Align))| {
            let cells = self.rows.iter().map(|row| console::measure_text_width(&cell(row, column)));
            cells.chain([name.len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(width).collect();
        let line = |cells: Vec<String>| {
            let padded = cells.iter().zip(&widths).zip(&self.columns).map(|((text, width), (_, align))| {
                let align = if *align == Align::Right { console::Alignment::Right } else { console::Alignment::Left };
                console::pad_str(text, *width, align, None).into_owned()
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
        writeln!(f, "{}\n{rule}", line(self.columns.iter().map(|(name, _)| (*name).to_owned()).collect()))?;
        for (index, row) in self.rows.iter().enumerate() {
            if self.footer_from == Some(index) {
                writeln!(f, "{rule}")?;
            }
            writeln!(f, "{}", line((0..widths.len()).map(|column| cell(row, column)).collect()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_the_footer_below_a_line() {
        let mut grid = Grid::new(&[("query", Align::Left), ("rows", Align::Right)]);
        grid.row(vec!["q01".to_owned(), "4".to_owned()]);
        grid.footer(vec!["total".to_owned(), "12345".to_owned()]);
        assert_eq!(grid.to_string(), "query   rows\n-----  -----\nq01        4\n-----  -----\ntotal  12345\n");
    }
}
