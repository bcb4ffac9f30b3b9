# curves.gp - four panels of a run, from the table that curves.sh makes and names.
set terminal pngcairo size 1200,800 font ",11"
set output run . "/curves.png"
set datafile missing "nan"
set grid lc rgb "#dddddd"
set xlabel "step"
set yrange [0:*]
set key bottom right
set multiplot layout 2,2 title run noenhanced
set title "reward"
plot table using 1:3 with lines lc rgb "#bbbbbb" title "step", \
     "" using 1:4 with lines lw 2 lc rgb "#1f4e79" title "mean of ten", \
     "" using 1:2 with points pt 7 lc rgb "#c0392b" title "evaluation"
array names[3] = ["decision", "content", "format"]
do for [panel = 1:3] {
    set title names[panel]
    plot table using 1:3 + 2 * panel with lines lc rgb "#bbbbbb" title "step", \
         "" using 1:4 + 2 * panel with lines lw 2 lc rgb "#1f4e79" title "mean of ten"
}
unset multiplot
