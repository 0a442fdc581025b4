//! A plot for each figure: every mode's windows as points, and their medians.

use anyhow::{Result, anyhow};
use plotters::{
    chart::ChartBuilder,
    drawing::IntoDrawingArea as _,
    element::{Circle, PathElement, Rectangle},
    prelude::SVGBackend,
    style::{BLACK, Color as _, IntoFont as _, RGBColor, WHITE},
};

use super::compare::{OURS, Results};
use crate::figures::Figure;

/// Width and height.
const SIZE: (u32, u32) = (760, 360);
const OUR_COLOUR: RGBColor = RGBColor(200, 80, 30);
const OTHER_COLOUR: RGBColor = RGBColor(60, 100, 160);
/// Whatever the viewer has without serifs.
const FONT: &str = "sans-serif";

/// File names and their contents.
pub(crate) fn all(results: &Results<'_>) -> Result<Vec<(String, String)>> {
    let draw = |figure: &'static Figure| Ok((format!("paths-{}.svg", figure.name), plot(results, figure)?));
    results.figures().into_iter().map(draw).collect()
}

fn plot(results: &Results<'_>, figure: &Figure) -> Result<String> {
    let mut svg = String::new();
    draw(results, figure, &mut svg).map_err(|error| anyhow!("cannot draw {}: {error}", figure.name))?;
    Ok(svg)
}

fn draw(results: &Results<'_>, figure: &Figure, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let modes: Vec<&str> =
        results.modes().into_iter().filter(|mode| results.absolute(figure, mode).is_some()).collect();
    let highest = modes.iter().filter_map(|mode| results.absolute(figure, mode)).map(|s| s.max);
    let top = highest.fold(f64::MIN_POSITIVE, f64::max) * 1.05;
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let title =
        if figure.lower { format!("{} (lower is better)", figure.title) } else { figure.title.to_owned() };
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FONT, 18).into_font())
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(-0.5..modes.len() as f64 - 0.5, 0.0..top)?;
    let name = |place: &f64| {
        #[expect(clippy::cast_sign_loss, reason = "the axis begins at -0.5, and a cast saturates")]
        let index = place.round() as usize;
        let whole = (place - place.round()).abs() < 0.01;
        modes.get(index).filter(|_| whole && *place > -0.4).map_or(String::new(), |mode| (*mode).to_owned())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(modes.len() + 1)
        .x_label_formatter(&name)
        .label_style((FONT, 13).into_font())
        .draw()?;
    for (index, mode) in modes.iter().enumerate() {
        let colour = if *mode == OURS { OUR_COLOUR } else { OTHER_COLOUR };
        let Some(summary) = results.absolute(figure, mode) else { continue };
        let x = index as f64;
        let [low, high] = summary.quartiles;
        chart
            .draw_series([Rectangle::new([(x - 0.25, low), (x + 0.25, high)], colour.mix(0.25).filled())])?;
        let points = results.values(figure, mode);
        let wide = points.len().max(2) as f64;
        let point = |(number, (_, value)): (usize, ((u32, u32), f64))| {
            let aside = (number as f64 / (wide - 1.0) - 0.5) * 0.4;
            Circle::new((x + aside, value), 2, colour.mix(0.6).filled())
        };
        chart.draw_series(points.into_iter().enumerate().map(point))?;
        let median = vec![(x - 0.3, summary.median), (x + 0.3, summary.median)];
        chart.draw_series([PathElement::new(median, BLACK.stroke_width(2))])?;
    }
    area.present()?;
    Ok(())
}
