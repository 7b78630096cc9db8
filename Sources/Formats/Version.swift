/// The version that files say they were made with.
package let alinfikVersion = "0.1.0"
