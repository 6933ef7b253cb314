package argon2

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// useHugePages asks Linux to keep blocks in pages of 2 MiB. A key is put together from blocks all over its memory, and of
// pages of 4 KiB the processor remembers only for some where they are. The wish stays with the addresses when the memory
// is given up: what comes to lie there may take up to 2 MiB more than Go knows of, for each page.
func useHugePages(blocks []block) {
	const page = 2 << 20
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(blocks))), len(blocks)*int(unsafe.Sizeof(block{})))
	begin := int(-uintptr(unsafe.Pointer(unsafe.SliceData(blocks))) % page)
	if pages := (len(memory) - begin) / page; pages > 0 {
		_ = unix.Madvise(memory[begin:begin+pages*page], unix.MADV_HUGEPAGE) // without them it only takes longer
	}
}
