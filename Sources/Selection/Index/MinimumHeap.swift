/// A binary heap: the least element is at hand.
struct MinimumHeap<Element> {
  private var elements: [Element]
  private let precedes: (Element, Element) -> Bool

  init(_ elements: [Element], by precedes: @escaping (Element, Element) -> Bool) {
    (self.elements, self.precedes) = (elements, precedes)
    for index in stride(from: elements.count / 2 - 1, through: 0, by: -1) { sink(index) }
  }

  var first: Element? { elements.first }

  mutating func insert(_ element: Element) {
    elements.append(element)
    var index = elements.count - 1
    while index > 0, precedes(elements[index], elements[(index - 1) / 2]) {
      elements.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  mutating func replaceFirst(_ element: Element) {
    elements[0] = element
    sink(0)
  }

  mutating func removeFirst() {
    elements.swapAt(0, elements.count - 1)
    elements.removeLast()
    if !elements.isEmpty { sink(0) }
  }

  private mutating func sink(_ start: Int) {
    var index = start
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2]
      where child < elements.count && precedes(elements[child], elements[least]) {
        least = child
      }
      if least == index { return }
      elements.swapAt(index, least)
      index = least
    }
  }
}
