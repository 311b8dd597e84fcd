import Foundation
import Reports
import Safetensors

extension HTMLPage {
    /// Writes the page, all or nothing, and warns when it has no pictures.
    ///
    /// - Throws: ``InputError`` when the place cannot be written to.
    func write(to path: String) throws(InputError) {
        try AtomicFile.write(Data(html.utf8), to: path)
        if let missingPictures { PrintingOptions.warn(missingPictures) }
    }
}
