"""The report, as one HTML file."""

from mi_tui.export.format import FORMATS, Subject, TextFormat


class ReportFormat(TextFormat):
    """The answer, the plots and every number behind them."""

    name = "report"
    title = "HTML report"
    about = "the answer with plots and all numbers, in one HTML file"
    file_name = "report.html"
    order = 50

    def text(self, subject: Subject) -> str:
        """HTML that loads nothing from elsewhere."""
        from mi_tui.export.html_report import report_html

        return report_html(
            subject.view,
            subject.answer,
            dict(subject.examples),
            subject.ablation,
            subject.breakdown,
        )


FORMATS.register(ReportFormat())
