package presence

// A list is a slice in pages. It is never copied as a whole when it grows, which for
// millions of elements would hold the lock for too long. It keeps the memory of its
// greatest length.
type list[T any] struct {
	pages [][]T
	n     int // elements; what the pages have behind them is garbage
}

// pageLen is how many elements a page has. The first page grows like a slice, because
// most lists are short.
const pageLen = 4096

func (l *list[T]) at(i uint32) *T { return &l.pages[i/pageLen][i%pageLen] }

// push adds v at the end.
func (l *list[T]) push(v T) {
	page := l.n / pageLen
	switch {
	case page < len(l.pages):
	case page == 0:
		l.pages = make([][]T, 1)
	default:
		l.pages = append(l.pages, make([]T, 0, pageLen))
	}
	l.pages[page] = append(l.pages[page][:l.n%pageLen], v)
	l.n++
}

// pop removes the last element and returns it. The list is not empty.
func (l *list[T]) pop() T {
	l.n--
	return *l.at(uint32(l.n))
}
