import Calibration
import Foundation
import Reports
import Safetensors

/// What `run`, `calibrate` and `report` do to make the report of a folder from its files.
struct ReportStep {
    let folder: OutputFolder

    /// Writes `report.html`, and warns when it has no pictures.
    func run() throws(InputError) {
        let page = ReportPage(try RunReport(reading: folder))
        try AtomicFile.write(Data(page.html.utf8), to: folder.report)
        if let missing = page.missingPictures { PrintingOptions.warn(missing) }
    }
}
